"""Photos -> the faces in them, as the network is to see them; batch by batch, in order.

Names come from anyone, and so may lead anywhere: only files are opened, and none is read beyond BYTES.
"""

import errno
import glob
import math
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from src.core import images
from src.predict import kinds

if TYPE_CHECKING:  # they import TensorFlow, which photos that cannot be read do not need
    from src.faces.alignment import Straightener
    from src.faces.detection import Detector
    from src.model.saved import Metadata

HELD = 256  # photos held at a time, and
PIXELS = 2**24  # of them together, unless one alone has more
BYTES = 2**29  # of a photo's file
LONGEST_NAME = 2**13  # bytes of a line that are looked at; Linux takes 4096
KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


class Photo(NamedTuple):
    """A photo that could be read."""

    name: str  # its path, mostly
    pixels: np.ndarray  # (height, width) uint8 grey, or (height, width, 3) in colour
    divisor: int  # as many of the photo's pixels a side are one of these


class Found(NamedTuple):
    """A face in a photo, or why there is none."""

    photo: str
    number: int | None = None  # 1 is the leftmost
    box: tuple[int, int, int, int] | None = None  # left, top, right, bottom in pixels of the upright photo
    roll: float | None = None  # degrees by which the line of the eyes is turned, clockwise
    pixels: np.ndarray | None = None  # (size, size) uint8 grey
    error: str | None = None
    readable: bool = True


def named(arguments: Iterable[str], listed: BinaryIO | None) -> list[str]:
    """Paths of photos: files, every image of a folder and those below, glob patterns; `-` stands for `listed`, by line.

    What is none of these stays in the list, so that reading it says what is wrong.
    """
    paths: list[str] = []
    for argument in arguments:
        if argument == "-":
            paths += _lines(listed) if listed else ()
        elif os.path.isdir(argument):  # noqa: PTH112  Path.is_dir raises where a name is too long
            paths += _images_below(argument) or [argument]
        elif not os.path.lexists(argument) and glob.has_magic(argument):
            paths += _matching(argument) or [argument]
        else:
            paths.append(argument)
    return paths


def _lines(listed: BinaryIO) -> Iterator[str]:
    while line := listed.readline(LONGEST_NAME):
        rest = line
        while rest and not rest.endswith(b"\n"):  # nobody's name; what follows it may be somebody's
            rest = listed.readline(LONGEST_NAME)
        if name := line.rstrip(b"\r\n"):
            yield os.fsdecode(name)


def _images_below(folder: str) -> list[str]:
    """The images in a folder and those below it, by their endings; and the folders that cannot be looked into.

    Photos of a format that is not read are among them: nobody shall believe that they have been.
    """
    endings = {ending for ending, kind in Image.registered_extensions().items() if kind in images.FORMATS}
    endings.update(kinds.ENDINGS)
    closed: list[str] = []
    files = [
        str(Path(parent, name))
        for parent, _, names in os.walk(folder, onerror=lambda error: closed.append(error.filename))
        for name in names
        if Path(name).suffix.lower() in endings
    ]
    return sorted(files + closed)


def _matching(pattern: str) -> list[str]:
    path = Path(pattern)
    if "**" not in path.parts:
        return sorted(glob.glob(pattern))  # noqa: PTH207  Path.glob takes no absolute pattern
    # With `**`, glob.glob follows links to folders, and some lead round in circles. Path.glob does not, but finds
    # hidden files, and with `**` at the end only folders.
    parts = path.relative_to(path.anchor).parts + (("*",) if path.name == "**" else ())
    hidden = {part for part in parts if part.startswith(".")}
    found = Path(path.anchor).glob("/".join(parts))
    return sorted(str(match) for match in found if hidden.issuperset(p for p in match.parts if p.startswith(".")))


def problem(path: str) -> str | None:
    """Why there is no file at `path` to be read, if there is none. Nothing is opened: some devices act on that."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  Path("") is the working directory
        if stat.S_ISDIR(mode):
            os.scandir(path).close()
            return "a folder" if _images_below(path) else "a folder without images"
        return None if stat.S_ISREG(mode) else f"{KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file"
    except OSError as error:
        if os.path.islink(path):  # noqa: PTH114
            return f"a link to {os.readlink(path)}: {error.strerror}"  # noqa: PTH115
        return error.strerror or str(error)
    except ValueError:
        return "a name that no file can have"  # with a NUL in it


def read(path: str, mode: str = "L", most: int = images.SHRUNK) -> Photo | Found:
    """The photo, upright, as `images.photo` gives it; or what is wrong with it."""
    if why := problem(path):
        return Found(path, error=why, readable=False)
    try:
        data = _bytes(path)
    except OSError as error:
        return Found(path, error=error.strerror or str(error), readable=False)
    return decoded(path, data, mode, most)


def decoded(name: str, data: bytes, mode: str = "L", most: int = images.SHRUNK) -> Photo | Found:
    """As `read`, of a file's bytes."""
    try:
        return Photo(name, *images.photo(data, mode, most))
    except ValueError as error:
        why = kinds.unread(data[: kinds.HEAD]) or f"cannot be decoded: {error}"
        return Found(name, error=why, readable=False)


def _bytes(path: str) -> bytes:
    # It may have been replaced by a pipe meanwhile; and a few files of /proc wait as one does.
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    with open(path, "rb", opener=lambda name, how: os.open(name, how | flags)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "no longer a file")
        if status.st_size > BYTES:
            why = f"{status.st_size} bytes, more than the {BYTES} that are read"
            raise OSError(errno.EFBIG, kinds.unread(file.read(kinds.HEAD)) or why)
        return file.read(status.st_size) or b""


def batches(photos: Iterable[Photo | Found]) -> Iterator[list[Photo | Found]]:
    """As many of the photos as shall be in memory at a time; each is read when its turn comes."""
    batch: list[Photo | Found] = []
    pixels = 0
    for photo in photos:
        size = photo.pixels.size if isinstance(photo, Photo) else 0
        if batch and (len(batch) == HELD or pixels + size > PIXELS):
            yield batch
            batch, pixels = [], 0
        batch.append(photo)
        pixels += size
    if batch:
        yield batch


def cropped(batch: list[Photo | Found], metadata: "Metadata", straightener: "Straightener | None") -> list[Found]:
    """Images that are faces already: they become what the preprocess stage would make of them."""
    faces = [photo.pixels for photo in batch if isinstance(photo, Photo)]
    faces = iter(straightener(faces) if straightener else faces)
    return [
        Found(photo.name, 1, pixels=images.resize(next(faces), metadata.input_size, metadata.interpolation))
        if isinstance(photo, Photo)
        else photo
        for photo in batch
    ]


def detected(batch: list[Photo | Found], metadata: "Metadata", detector: "Detector") -> list[Found]:
    """Every face that is found in the photos, cut out as the canonical face; turned too if the model's are."""
    from src.faces.alignment import crop

    found = iter(detector.find([photo.pixels for photo in batch if isinstance(photo, Photo)]))
    answer: list[Found] = []
    for photo in batch:
        if isinstance(photo, Found):
            answer.append(photo)
            continue
        faces = next(found)
        if not faces:
            answer.append(Found(photo.name, error="no face found"))
        for number, face in enumerate(faces, 1):
            pixels = crop(photo.pixels, face, metadata.input_size, level=metadata.align != "none")
            pixels = images.resize(pixels, metadata.input_size, metadata.interpolation)
            answer.append(Found(photo.name, number, _scaled(face.box, photo.divisor), face.roll, pixels))
    return answer


def _scaled(box: tuple[int, int, int, int], divisor: int) -> tuple[int, int, int, int]:
    """A box in pixels of the photo, (0, 0) being the centre of the first one, as of the shrunk photo."""
    left, top, right, bottom = (edge * divisor + (divisor - 1) / 2 for edge in box)
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
