"""Position and roll of the face in a picture of one, from the masks of its eyes and its mouth."""

from cmath import phase, rect
from itertools import product
from math import degrees, radians
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.faces.alignment import turned
from src.faces.face import LEFT_EYE, RIGHT_EYE, Face
from src.segmentation import CELLS, PARTS, network

# Where the parts are on the canonical face, as shares of width and height; the mouth is as far below the eyes as they
# are apart. x + iy, as everywhere below: then z -> a z + b is a similarity.
CANONICAL = {"left eye": complex(*LEFT_EYE), "right eye": complex(*RIGHT_EYE), "mouth": complex(0.505, 0.755)}
# Chosen on the train folder of FER-2013, turned by 40 degrees.
SEEN, SURE = 0.05, 0.5  # how likely the likeliest cell of a part must be: of three that fit each other, of two
NEAR, PLACES = 4, 2  # a part lies within so many cells of that one, and that many places are looked at
FITTING, LOOSE = 0.05, 0.1  # how far parts may be off the canonical face, in its sides: at once, and at most
SMALLEST, LARGEST = 0.3, 1.6  # side of the canonical face, in those of the picture
UPRIGHT = 10  # degrees from which a face is looked at again, turned back


class Part(NamedTuple):
    """A place where an eye or the mouth may be."""

    canonical: complex
    middle: complex  # in pixels of the image
    sure: float  # 0 to 1


class Fit(NamedTuple):
    """The canonical face, laid over parts: z -> factor z + shift."""

    factor: complex
    shift: complex
    off: float  # root mean square, in sides of the canonical face
    sure: float  # of the least sure part


class Segmenter:
    """Finds the face in pictures of one."""

    def __init__(self, path: Path):
        self._network = network.load(path)

    def find(self, images: list[np.ndarray]) -> list[list[Face]]:
        """The face in each of the images (height, width) uint8 grey: a list of one, or none where none is found."""
        fits = self._look(images)
        rolls = {n: degrees(phase(fit.factor)) for n, fit in enumerate(fits) if fit}
        rolls = {number: roll for number, roll in rolls.items() if abs(roll) > UPRIGHT}
        again = self._look([turned(images[number], -roll) for number, roll in rolls.items()])
        for (number, roll), fit in zip(rolls.items(), again, strict=True):
            if fit:
                height, width = images[number].shape
                centre, back = complex(width - 1, height - 1) / 2, rect(1, radians(roll))
                fits[number] = fit._replace(factor=fit.factor * back, shift=centre + (fit.shift - centre) * back)
        return [[_face(fit)] if fit else [] for fit in fits]

    def _look(self, images: list[np.ndarray]) -> list[Fit | None]:
        masks = network.probabilities(self._network, images)
        return [_fit(mask, *image.shape) for mask, image in zip(masks, images, strict=True)]


def _face(fit: Fit) -> Face:
    corners = [fit.factor * complex(x, y) + fit.shift for x in (0, 1) for y in (0, 1)]
    across, down = ([getattr(corner, axis) for corner in corners] for axis in ("real", "imag"))
    box = (np.floor([min(across), min(down)]), np.ceil([max(across), max(down)]))
    (left, top), (right, bottom) = (edge.astype(int).tolist() for edge in box)
    eyes = (fit.factor * CANONICAL[name] + fit.shift for name in ("left eye", "right eye"))
    left_eye, right_eye = ((eye.real, eye.imag) for eye in eyes)
    return Face((left, top, right, bottom), left_eye, right_eye, fit.sure)


def _fit(mask: np.ndarray, height: int, width: int) -> Fit | None:
    """From the probabilities (CELLS, CELLS, parts) of an image of that size; None where they show no face.

    Eyes and mouth are looked for where they are likeliest and at the next best place, and where together they fit the
    canonical face. Without three that do, two that are sure have to be enough: of a turned head one eye is hidden.
    """
    places = [_places(mask[..., PARTS.index(name)], at, height, width) for name, at in CANONICAL.items()]
    most = LARGEST * max(height, width)
    least = SMALLEST * max(height, width)
    best = None
    for parts in product(*places):
        fit = _laid(parts)
        if least < abs(fit.factor) < most and fit.off < LOOSE and (best is None or fit.off < best.off):
            best = fit
            if fit.off < FITTING:
                break
    if best:
        return best
    sure = [found[0] for found in places if found and found[0].sure >= SURE]
    pairs = [_laid(pair) for number, one in enumerate(sure) for pair in ((one, other) for other in sure[number + 1 :])]
    return max((fit for fit in pairs if least < abs(fit.factor) < most), key=lambda fit: fit.sure, default=None)


def _places(likely: np.ndarray, canonical: complex, height: int, width: int) -> list[Part]:
    """Where a part is likeliest to be, and where next, by the probabilities (CELLS, CELLS) of it."""
    likely, places = likely.copy(), []
    for _ in range(PLACES):
        row, column = divmod(int(likely.argmax()), CELLS)
        sure = float(likely[row, column])
        if sure < SEEN:
            break
        top, left = max(0, row - NEAR), max(0, column - NEAR)
        near = likely[top : row + NEAR + 1, left : column + NEAR + 1]
        weights = np.where(near > min(0.2, sure / 2), near, 0)
        x = (weights.sum(axis=0) @ np.arange(left, left + near.shape[1])) / weights.sum() + 0.5
        y = (weights.sum(axis=1) @ np.arange(top, top + near.shape[0])) / weights.sum() + 0.5
        places.append(Part(canonical, complex(x / CELLS * width - 0.5, y / CELLS * height - 0.5), sure))
        near[:] = 0
    return places


def _laid(parts: tuple[Part, ...]) -> Fit:
    """The similarity with the least squares, each part with the weight of how sure it is."""
    total = sum(part.sure for part in parts)
    canonical = sum(part.sure * part.canonical for part in parts) / total
    middle = sum(part.sure * part.middle for part in parts) / total
    spread = sum(part.sure * abs(part.canonical - canonical) ** 2 for part in parts)
    pairs = [(part.sure, part.canonical - canonical, part.middle - middle) for part in parts]
    factor = sum(sure * at * of.conjugate() for sure, of, at in pairs) / spread
    off = (sum(sure * abs(at - factor * of) ** 2 for sure, of, at in pairs) / total) ** 0.5
    return Fit(factor, middle - factor * canonical, off / max(abs(factor), 1e-9), min(part.sure for part in parts))
