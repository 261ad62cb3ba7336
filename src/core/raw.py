"""Raw data is one zip: members `train/<label>/<name>` and `test/<label>/<name>`, never unpacked.

Download writes it, later stages read it; what is wrong with it is said with the name of the file and the member.
"""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from src import progress
from src.core.files import replacing
from src.errors import UserError, printable

FOLDERS = ("test", "train")
# What zipfile raises for a damaged, encrypted or unsupported archive or member; and where the file itself fails.
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(ValueError, OverflowError, RuntimeError, MemoryError),
)
ERRORS = (OSError, *DAMAGE)
AGAIN = "make it again: dvc repro -f download"


class Image(NamedTuple):
    """One image of a source. `read` gives the bytes of its file, undecoded."""

    folder: str
    label: str
    name: str
    read: Callable[[], bytes]

    @property
    def member(self) -> str:
        """Its place in the archive."""
        return f"{self.folder}/{self.label}/{self.name}"


def write(path: Path, images: Iterable[Image]) -> None:
    """Writes the canonical archive: sorted, stored, one fixed date, so that equal images give equal bytes.

    Raises:
        UserError: when two images have the same member name.
    """
    ordered = sorted(images, key=lambda image: image.member)
    for first, second in pairwise(ordered):
        if first.member == second.member:
            raise UserError(f"two images are both named {first.member}; rename one of them")
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for image in progress.bar(ordered, path.name):
            info = zipfile.ZipInfo(image.member)  # dated 1980-01-01 unless told otherwise
            info.create_system = 3  # Unix: the default is the platform's
            archive.writestr(info, image.read())


def opened(path: Path) -> zipfile.ZipFile:
    """The archive that the download stage wrote.

    Raises:
        UserError: it is no complete zip file.
    """
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise  # it says so itself
    except ERRORS as error:
        raise UserError(f"{path} is not a complete zip file: {printable(str(error))}; {AGAIN}") from error


def read(archive: zipfile.ZipFile, member: str) -> bytes:
    """The bytes of a member.

    Raises:
        UserError: they are damaged or not there.
    """
    try:
        return archive.read(member)
    except (KeyError, *ERRORS) as error:
        raise UserError(f"{archive.filename}: {member} cannot be read: {printable(str(error))}; {AGAIN}") from error
