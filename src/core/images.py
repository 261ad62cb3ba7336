"""An image file's bytes -> its pixels: the one place where bytes of others meet Pillow.

Pillow knows some forty formats. Here it is asked for eight: others start programs (EPS), name further files, or are no
photos. What it raises on damaged bytes is of any kind, and all of it becomes a ValueError with a short text.
"""

import ctypes
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from src.errors import printable

OPENED = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
FORMATS = sorted((*OPENED, "MPO"))  # which begins with a JPEG, and is opened as one
PIXELS = 2**28  # of an image that is decoded at all
SHRUNK = 2**24  # about so many are left of a photo that has more
LONGEST = 200  # characters of Pillow's that are passed on
# As ImageOps.exif_transpose, which also writes the EXIF data anew, and fails where a camera has written it strangely.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow warns above this and raises above twice as much, also for the canvas of a WEBP and the tiles of a TIFF, before
# it has memory for them.
Image.MAX_IMAGE_PIXELS = PIXELS // 2
# What is wrong with an image is raised. Without these, some of it is printed as well, by libtiff past Python.
warnings.filterwarnings("ignore", module="PIL")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
with suppress(AttributeError, OSError):  # where Pillow keeps its libtiff to itself
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


class TooLarge(ValueError):
    """More than PIXELS."""


def size(data: bytes) -> tuple[int, int]:
    """Width and height of an image file, from its header; nothing is decoded.

    Raises:
        TooLarge: more than PIXELS.
        ValueError: the bytes are not the beginning of an image.
    """
    with _opened(data) as image:
        return image.size


def decode(data: bytes) -> np.ndarray:
    """An image file's bytes -> (height, width) uint8 grey, pixel for pixel what Keras's `load_img` gives.

    So of an animation or several pages the first is taken, transparency is left away, and colours of any kind
    (palette, CMYK, 16 bits each) become grey by Pillow's `convert`.

    Raises:
        ValueError: the bytes are not a complete image of FORMATS and at most PIXELS, or one in grey of more than 8
            bits. Of that `load_img` makes values up to 65535 where the network expects 255.
    """
    with _opened(data) as image:
        return np.asarray(_in_mode(image, "L"))


def resize(image: np.ndarray, size: int, interpolation: str) -> np.ndarray:
    """(height, width) uint8 -> (size, size), as `load_img` does it: not at all where it has that size."""
    if image.shape == (size, size):
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling[interpolation.upper()]))


def photo(data: bytes, mode: str = "L", most: int = SHRUNK) -> tuple[np.ndarray, int]:
    """An image file's bytes -> its pixels upright, as the EXIF orientation says, and by what they were divided.

    A photo of more than `most` pixels is made smaller, by the least power of two per side that is enough: what is
    returned then has ceil(width / divisor) columns. Others have the pixels of `decode`. Where the EXIF data cannot be
    read, the orientation is that of the file.

    Memory, besides the file's bytes, for each pixel of the photo: up to 1 byte for a JPEG, which is decoded at the
    smaller size; 3.3 to 8.3 for a progressive one, of which libjpeg keeps all coefficients; 5.1 for most others; 8.3
    in colour, and for a TIFF in one strip; 16.1 for a WEBP. So 550 MB for a PNG of 108 megapixels.

    Args:
        mode: "L" for (height, width) grey, "RGB" for (height, width, 3).

    Raises:
        ValueError: as `decode`.
    """
    with _opened(data) as image:
        width, height = image.size
        divisor = 1
        while -(-width // divisor) * -(-height // divisor) > most:
            divisor *= 2
        # A JPEG can be decoded at half, a quarter or an eighth of its size.
        drafted = image.draft(None, (max(1, width // divisor), max(1, height // divisor)))
        left = divisor // round(width / drafted[1][2]) if drafted else divisor
        pixels = _in_mode(image, mode)
        if left > 1:
            pixels = pixels.reduce(left)
        turn = _turn(image)
        return np.asarray(pixels if turn is None else pixels.transpose(turn)), divisor


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"mode {image.mode}: more than 8 bits per channel")
    image.load()
    return image if image.mode == mode else image.convert(mode)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What makes a loaded image upright, by its EXIF orientation. A TIFF is so already: loading it has turned it."""
    try:
        return UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 0))
    except Exception:  # noqa: BLE001  of whatever kind: how the photo is to be turned is then not known
        return None


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """The image, its header read; what Pillow raises here and in the caller's block becomes a ValueError."""
    try:
        with Image.open(io.BytesIO(data), formats=OPENED) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise TooLarge(f"more than {PIXELS} pixels") from error
    except UnidentifiedImageError as error:  # its text has the address of an object
        raise ValueError(f"not an image, or in none of the formats {', '.join(FORMATS)}") from error
    except Exception as error:  # struct.error, TypeError, IndexError, SyntaxError, MemoryError …
        raise ValueError(printable(str(error))[:LONGEST] or type(error).__name__) from error
