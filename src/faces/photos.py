"""Photos -> the faces in them, as the network is to see them; batch by batch, in order."""

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from src.dataset import arrays
from src.faces.alignment import Straightener, crop
from src.faces.detection import Detector
from src.model.saved import Known

IMAGES = 256  # photos held at a time, and
PIXELS = 2**24  # of them together, unless one alone has more


class Found(NamedTuple):
    """A face in a photo, or why there is none."""

    photo: str
    number: int | None = None  # 1 is the leftmost
    box: tuple[int, int, int, int] | None = None  # left, top, right, bottom in pixels of the upright photo
    roll: float | None = None  # degrees by which the line of the eyes is turned, clockwise
    pixels: np.ndarray | None = None  # (size, size) uint8 grey
    error: str | None = None
    readable: bool = True


def named(arguments: Iterable[str], listed: Iterable[str]) -> list[str]:
    """Paths of photos: files, every image of a folder and those below, glob patterns; `-` stands for `listed`.

    What is none of these stays in the list, so that reading it says what is wrong.
    """
    paths: list[str] = []
    for argument in arguments:
        if argument == "-":
            paths += [line.rstrip("\r\n") for line in listed if line.strip()]
        elif Path(argument).is_dir():
            paths += _images_below(argument) or [argument]
        elif not Path(argument).exists() and glob.has_magic(argument):
            # Path.glob takes no absolute pattern.
            paths += sorted(glob.glob(argument, recursive=True)) or [argument]  # noqa: PTH207
        else:
            paths.append(argument)
    return paths


def _images_below(folder: str) -> list[str]:
    endings = {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    return sorted(str(path) for path in Path(folder).rglob("*") if path.suffix.lower() in endings)


def cropped(paths: Iterable[str], known: Known, limit: int, straightener: Straightener | None) -> Iterator[list[Found]]:
    """Images that are faces already: they become what the preprocess stage would make of them."""
    for batch in _batches(paths, limit):
        images = [image for _, image in batch if isinstance(image, np.ndarray)]
        faces = iter(straightener(images) if straightener else images)
        yield [
            Found(path, 1, pixels=arrays.resize(next(faces), known.input_size, known.interpolation))
            if isinstance(image, np.ndarray)
            else Found(path, error=image, readable=False)
            for path, image in batch
        ]


def detected(paths: Iterable[str], known: Known, limit: int, detector: Detector) -> Iterator[list[Found]]:
    """Photos: every face that is found in them, cut out as the canonical face; turned too if the model's are."""
    size = known.input_size
    for batch in _batches(paths, limit):
        found = iter(detector.find([image for _, image in batch if isinstance(image, np.ndarray)]))
        answer = []
        for path, image in batch:
            if not isinstance(image, np.ndarray):
                answer.append(Found(path, error=image, readable=False))
                continue
            faces = next(found)
            if not faces:
                answer.append(Found(path, error="no face found"))
            for number, face in enumerate(faces, 1):
                pixels = crop(image, face, size, level=known.align == "eyes")
                pixels = arrays.resize(pixels, size, known.interpolation)
                answer.append(Found(path, number, face.box, face.roll, pixels))
        yield answer


def _batches(paths: Iterable[str], limit: int) -> Iterator[list[tuple[str, np.ndarray | str]]]:
    batch: list[tuple[str, np.ndarray | str]] = []
    pixels = 0
    for path in paths:
        image = _read(path, limit)
        if batch and (len(batch) == IMAGES or pixels + np.size(image) > PIXELS):
            yield batch
            batch, pixels = [], 0
        batch.append((path, image))
        pixels += np.size(image)
    if batch:
        yield batch


def _read(path: str, limit: int) -> np.ndarray | str:
    """The photo, upright and grey, or what is wrong with it."""
    if Path(path).is_dir():
        return "a folder without images"
    try:
        return arrays.decode(Path(path).read_bytes(), upright=True, limit=limit)
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return f"cannot be decoded: {error}"
