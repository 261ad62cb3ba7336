"""A detected face -> the canonical face: cut out, and turned so that the eyes lie level."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from src.faces.face import LEFT_EYE, RIGHT_EYE, Face
from src.params import Align
from src.segmentation import SEGMENTATION

ANGLES = (-180, -60, -45, -30, -15, -5, 5, 15, 30, 45, 60, 180)  # edges of the histogram, in degrees


def crop(image: np.ndarray, face: Face, size: int, level: bool) -> np.ndarray:
    """The face, with its eyes where the canonical face has them, as (side, side) uint8.

    Args:
        image: (height, width) uint8.
        size: the side is this or, where the photo has more pixels of the face, as large as they are there.
        level: turn the face until its eyes are level; otherwise their middle and distance are canonical.
    """
    left, right = np.array(face.left_eye), np.array(face.right_eye)
    if not level:
        middle, half = (left + right) / 2, np.array([np.linalg.norm(right - left) / 2, 0.0])
        left, right = middle - half, middle + half
    share = RIGHT_EYE[0] - LEFT_EYE[0]
    side = max(size, round(float(np.linalg.norm(right - left)) / share))
    # From canonical pixels to the photo's, as complex numbers: a similarity is z -> a z + b.
    first, second = (complex(x * side - 0.5, y * side - 0.5) for x, y in (LEFT_EYE, RIGHT_EYE))
    factor = (complex(*right) - complex(*left)) / (second - first)
    shift = complex(*left) - factor * first
    matrix = np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    """The image (height, width) uint8 turned clockwise about its centre; its edge is drawn out into the corners."""
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


Find = Callable[[list[np.ndarray]], list[list[Face]]]  # images (height, width) uint8 -> the faces in each


def straightener(align: Align, size: int, weights: Path = SEGMENTATION) -> "Straightener | None":
    """What `preprocess.align` asks for; TensorFlow is set up by the caller.

    Args:
        weights: of the network that finds eyes and mouths, where it does.
    """
    if align == "none":
        return None
    if align == "eyes":
        from src.faces.detection import Detector

        return Straightener(Detector().find, size)
    from src.faces.segmented import Segmenter

    return Straightener(Segmenter(weights).find, size)


class Straightener:
    """Turns images of one face each into canonical faces, and counts what it met."""

    def __init__(self, find: Find, size: int):
        self._find, self._size = find, size
        self.images = 0
        self.rolls: list[float] = []  # of the faces that were found, in degrees

    def __call__(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Images (height, width) uint8 -> canonical faces (side, side); those in which no face is found, unchanged."""
        found = [max(faces, key=lambda face: face.confidence, default=None) for faces in self._find(images)]
        self.images += len(images)
        self.rolls += [face.roll for face in found if face]
        pairs = zip(images, found, strict=True)
        return [crop(image, face, self._size, level=True) if face else image for image, face in pairs]

    def metrics(self) -> dict[str, Any]:
        """How many faces were found, and how many of them were turned by how much."""
        counts, edges = np.histogram(self.rolls, bins=ANGLES)
        names = [f"{low} to {high}" for low, high in pairwise(edges)]
        share = round(len(self.rolls) / self.images, 4)
        return {"found": len(self.rolls), "share": share, "roll": dict(zip(names, counts.tolist(), strict=True))}
