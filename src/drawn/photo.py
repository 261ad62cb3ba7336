"""One picture, from the person to the pixels."""

import cv2
import numpy as np

from src.drawn import head, light
from src.drawn.chance import Random, bell, between
from src.drawn.expression import Expression, express
from src.drawn.features import Features
from src.drawn.pencil import Pencil
from src.drawn.person import Person, Pose, meet, stand

COLOURED = 128  # pixels a side from which pictures are portraits in colour, as the report's third set; smaller
# ones are cut out around the face, and grey, as FER-2013
OVERSAMPLED = 4  # grey pictures are drawn so many times larger and shrunk
HAND = 0.12  # share of faces with a hand before them
Parts = tuple[np.ndarray, tuple[str, ...]]  # a layer of what each pixel belongs to, and what its numbers mean


def take(emotion: str, size: int, rng: Random, pose: Pose | None = None) -> np.ndarray:
    """A photograph of somebody who shows `emotion` -> (size, size) uint8, or (size, size, 3), blue first.

    Args:
        pose: where and how the head is held; at random, looking at the camera more or less, unless given.
    """
    return _taken(emotion, size, rng, pose, None)


def take_with_parts(
    emotion: str, size: int, rng: Random, pose: Pose, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """As `take`, in grey, and what each of its pixels belongs to, (size, size) uint8: places in `names`, which are
    hair, skin, left eye, right eye (as seen in the picture), brow, mouth, hand and, at first, what is none of these."""
    parts = np.zeros((size * OVERSAMPLED, size * OVERSAMPLED), np.uint8)
    picture = _taken(emotion, size, rng, pose, (parts, names))
    return picture, parts[OVERSAMPLED // 2 :: OVERSAMPLED, OVERSAMPLED // 2 :: OVERSAMPLED]


def _taken(emotion: str, size: int, rng: Random, pose: Pose | None, parts: Parts | None) -> np.ndarray:
    who, how, pose = meet(rng), express(emotion, rng), pose or stand(rng)
    coloured = size >= COLOURED and parts is None
    if coloured:
        pose = pose.from_afar()
    picture = _paint(who, how, pose, size if coloured else size * OVERSAMPLED, coloured, rng, parts)
    if not coloured:
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return _noisy(picture, rng)


def _paint(
    who: Person, how: Expression, pose: Pose, size: int, coloured: bool, rng: Random, parts: Parts | None
) -> np.ndarray:
    def part(name: str) -> tuple[np.ndarray, int] | None:
        return None if parts is None else (parts[0], parts[1].index(name))

    canvas = head.background(size, coloured, rng)
    shaded = np.zeros((size, size), np.uint8)
    paint, folds, still = Pencil(pose, size), Pencil(pose, size), Pencil(pose.upright(), size)
    lamp = bell(rng, 0.9), bell(rng, 0.5) - 0.25
    face, hair = Features(who, how, paint, folds, lamp[0]), head.Hair(who, rng)

    hair.behind(paint)
    paint.draw(canvas, shaded, part=part("hair"))
    head.body(who, still, between(rng, 0.0, 0.25))
    still.draw(canvas, shaded)
    head.ears(who, paint)
    paint.fill(head.outline(who, face.drop), who.skin)
    paint.draw(canvas, shaded, part=part("skin"))
    head.freckles(who, paint, rng)
    face.lines()
    head.beard(who, paint, folds, face.corner(1), face.drop, rng)
    face.nose()
    paint.draw(canvas)
    face.mouth()
    paint.draw(canvas, part=part("mouth"))
    for side, eye in ((-1, "left eye"), (1, "right eye")):
        face.eye(side)
        paint.draw(canvas, part=part(eye))
        face.brow(side)
        paint.draw(canvas, part=part("brow"))
    hair.front(paint)
    paint.draw(canvas, shaded, part=part("hair"))
    hair.texture(paint)
    head.glasses(who, paint, rng)
    paint.draw(canvas)
    if rng.random() < HAND:
        head.hand(who, still, rng)
        still.draw(canvas, shaded, covered=0, part=part("hand"))

    relief, wrinkles = light.Relief(paint, size, who.width), light.cells(size)
    face.relief(relief)
    folds.draw(wrinkles, shrunk=light.CELL)
    shade = relief.shade(lamp, between(rng, 0.3, 0.6), between(rng, 0.0, 0.35))
    shade = shade * (cv2.blur(wrinkles, (3, 3)) / light.ONE)
    light.lit(canvas, shade, shaded, _exposure(len(wrinkles), rng))
    return canvas


def _exposure(cells: int, rng: Random) -> np.ndarray:
    """Exposure, and light that falls off across the picture."""
    across = (np.arange(cells) + 0.5) / cells - 0.5
    gain, right, down = between(rng, 0.85, 1.3), bell(rng, 0.3), bell(rng, 0.3)
    return gain * (1 + right * across[None, :] + down * across[:, None])


def _noisy(picture: np.ndarray, rng: Random) -> np.ndarray:
    """With a sensor's noise, the same in all colours. The only random numbers that depend on the size; the last."""
    amplitude = int(rng.integers(2, 20))
    count = picture.shape[0] * picture.shape[1]
    first, second = np.frombuffer(rng.bytes(2 * count), np.int8).reshape(2, *picture.shape[:2])
    noise = np.add(first, second, dtype=np.int16)
    noise *= amplitude
    noise >>= 8
    if picture.ndim == 3:
        noise = cv2.merge([noise] * 3)
    return cv2.add(picture, noise, dtype=cv2.CV_8U)
