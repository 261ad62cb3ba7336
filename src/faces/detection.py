"""Where the faces are in a photo, and their eyes: MTCNN (Zhang et al., 2016), whose weights come with its package."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from mtcnn import MTCNN

from src import quiet
from src.faces.face import Face

# MTCNN looks for faces from 20 pixels on. Small crops are enlarged and get a margin, because it misses faces that fill
# the image; larger photos are made smaller, because its time grows with their pixels.
SMALLEST, LARGEST, MARGIN = 96, 800, 1 / 6
# It knows faces that are about upright, and takes others for less turned than they are. So where it finds none, the
# image is turned by these degrees; and one face that it finds turned is looked at again, turned back by as much.
TURNS = (0, -45, 45)
UPRIGHT, LOOKS = 10, 2  # degrees that are no reason to look again, and how often at most
BATCH = 32  # images of one shape at a time: 4 times as fast as one by one, for 48 pixels


class Detector:
    """Loads MTCNN, which takes seconds."""

    def __init__(self) -> None:
        with quiet.loading_mtcnn():
            self._network = MTCNN()

    def find(self, images: list[np.ndarray]) -> list[list[Face]]:
        """The faces in each of the images (height, width) uint8 grey, from left to right."""
        found: list[list[Face]] = [[] for _ in images]
        turned = [0.0] * len(images)  # degrees, when it was looked at last
        for turn in TURNS:
            for number, faces in self._look(images, {n: turn for n, faces in enumerate(found) if not faces}):
                found[number], turned[number] = faces, turn
        for _ in range(LOOKS):
            alone = {number: faces[0].roll for number, faces in enumerate(found) if len(faces) == 1}
            again = {number: roll for number, roll in alone.items() if abs(roll - turned[number]) > UPRIGHT}
            for number, faces in self._look(images, again):
                if len(faces) == 1:
                    found[number], turned[number] = faces, again[number]
        return [sorted(faces) for faces in found]

    def _look(self, images: list[np.ndarray], turns: dict[int, float]) -> Iterator[tuple[int, list[Face]]]:
        """(number, faces) of the images with these numbers, each turned counter-clockwise by its degrees."""
        for shape in sorted({images[number].shape for number in turns}):
            numbers = [number for number in turns if images[number].shape == shape]
            for start in range(0, len(numbers), BATCH):
                batch = numbers[start : start + BATCH]
                maps = [_placement(shape, turns[number]) for number in batch]
                placed = [
                    cv2.warpAffine(images[n], matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
                    for n, (matrix, size) in zip(batch, maps, strict=True)
                ]
                answers = self._network.detect_faces([np.dstack([image] * 3) for image in placed])
                # Of a batch without any face MTCNN returns an empty list.
                for number, (matrix, _), answer in zip(batch, maps, answers or [[]] * len(batch), strict=True):
                    back = cv2.invertAffineTransform(matrix)
                    yield number, [_face(one, back) for one in answer]


def _placement(shape: tuple[int, int], degrees: float) -> tuple[np.ndarray, tuple[int, int]]:
    """The affine map (2, 3) from an image of that shape to one with margin, turned, and that one's width and height."""
    height, width = shape
    scale = float(np.clip(1, SMALLEST / max(shape), LARGEST / max(shape)))
    margin = MARGIN * scale * max(shape)
    size = (round(scale * width + 2 * margin), round(scale * height + 2 * margin))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    return matrix, size


def _face(answer: dict[str, Any], back: np.ndarray) -> Face:
    def moved(points: list[tuple[float, float]]) -> np.ndarray:
        return np.asarray(points, np.float64) @ back[:, :2].T + back[:, 2]

    left, top, width, height = answer["box"]
    corners = moved([(left, top), (left + width, top), (left, top + height), (left + width, top + height)])
    eyes = moved([answer["keypoints"]["left_eye"], answer["keypoints"]["right_eye"]])
    (left, top), (right, bottom) = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    left_eye, right_eye = ((float(x), float(y)) for x, y in eyes)
    return Face((int(left), int(top), int(right), int(bottom)), left_eye, right_eye, float(answer["confidence"]))
