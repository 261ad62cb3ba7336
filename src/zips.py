"""Zip files that may be damaged: what is wrong is said with the name of the file and the member."""

import lzma
import struct
import zipfile
import zlib
from pathlib import Path

from src.errors import UserError, printable

# What zipfile raises for a damaged, encrypted or unsupported archive or member; and where the file itself fails.
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(ValueError, OverflowError, RuntimeError, MemoryError),
)
ERRORS = (OSError, *DAMAGE)
AGAIN = "make it again: dvc repro -f download"


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
