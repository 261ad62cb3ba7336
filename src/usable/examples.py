"""Drawn pictures to learn from: faces that can be used, and what cannot be, made of them.

Faces are framed as FER-2013's are, which fill the picture more than those of the drawn sets, and have more of what
photographs have: caps of contrast, blur, things in front, watermarks. All random numbers come from integers, and all
arithmetic is OpenCV's in fixed point, so the same seed and index give the same bytes on every machine.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np

from src import progress
from src.drawn import PROTOTYPES
from src.drawn.chance import Random, bell, between, choice
from src.drawn.head import background
from src.drawn.person import Pose, angle
from src.drawn.photo import take
from src.usable import SIZE

LETTERS = "ABCDEFGHIJKLMNOPRSTUVWabcdefghijklmnoprstuvw0123456789.,!?-"
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
Picture = np.ndarray  # (SIZE, SIZE) uint8


def examples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (2 count, SIZE, SIZE) uint8, and what each is (2 count,): 0 for a usable face, otherwise 1 more than its
    place in UNUSABLE. One is a face, the next is not; of the latter each kind is as frequent."""
    kinds = [0 if number % 2 == 0 else 1 + number // 2 % len(UNUSABLE) for number in range(2 * count)]
    made, pictures = (face, *UNUSABLE.values()), []
    for number, kind in enumerate(progress.bar(kinds, "draw")):
        rng = np.random.default_rng([seed, number, 2])
        pictures.append(photographed(made[kind](rng), rng))
    return np.stack(pictures), np.array(kinds)


def face(rng: Random) -> Picture:
    """One that can be used, also where something covers a little of it."""
    picture = _portrait(rng, _pose(rng))
    if rng.random() < 0.2:
        _watermark(picture, rng)
    if rng.random() < 0.2:
        _patch(picture, rng, between(rng, 0.1, 0.2), _aside(rng, 0.3, 0.5))
    if rng.random() < 0.15:  # something like a hat
        _patch(picture, rng, between(rng, 0.2, 0.4), (bell(rng, 0.1), between(rng, -0.7, -0.5)))
    return picture


def _no_face(rng: Random) -> Picture:
    """A room, or anything of lines, areas and patterns."""
    picture = background(SIZE, False, rng)
    for _ in range(int(rng.integers(0, 9))):
        tone, where = int(rng.integers(0, 256)), rng.integers(-8, SIZE + 8, 6).tolist()
        kind = int(rng.integers(4))
        if kind == 0:
            cv2.line(picture, tuple(where[:2]), tuple(where[2:4]), tone, int(rng.integers(1, 6)), cv2.LINE_AA)
        elif kind == 1:
            cv2.ellipse(
                picture, tuple(where[:2]), (abs(where[2]) // 2 + 1, abs(where[3]) // 2 + 1), where[4], 0, 360, tone, -1
            )
        elif kind == 2:
            cv2.fillPoly(picture, [np.array(where, np.int32).reshape(3, 2)], tone, cv2.LINE_AA)
        else:
            step = int(rng.integers(2, 9))
            for x in range(-SIZE, SIZE, 2 * step):
                cv2.line(picture, (x, where[0]), (x + where[1], where[2]), tone, max(1, step // 2), cv2.LINE_AA)
    return picture


def _cut_off(rng: Random) -> Picture:
    """Half of the face or more is outside, or so near that only a part is seen."""
    if rng.random() < 0.6:
        dx, dy = _aside(rng, 0.5, 0.8)
        return _portrait(rng, _pose(rng, (0.5 + dx, 0.49 + dy)))
    dx, dy = _aside(rng, 0.5, 1.2)
    return _portrait(rng, _pose(rng, (0.5 + dx, 0.49 + dy), between(rng, 1.3, 2.4)))


def _covered(rng: Random) -> Picture:
    """Most of it, by something flat or patterned."""
    picture = _portrait(rng, _pose(rng))
    _patch(picture, rng, between(rng, 0.3, 0.42), _aside(rng, 0.0, 0.12))
    return picture


def _blurred(rng: Random) -> Picture:
    """Until nothing of the expression is left."""
    picture, kernel = _portrait(rng, _pose(rng)), 2 * int(rng.integers(5, 10)) + 1
    return cv2.blur(cv2.blur(picture, (kernel, kernel)), (kernel, kernel))


def _blank(rng: Random) -> Picture:
    """One tone, or from one to another."""
    corners = (
        rng.integers(0, 256, (2, 2)).astype(np.uint8) if rng.random() < 0.5 else np.full((2, 2), rng.integers(256))
    )
    return cv2.resize(corners.astype(np.uint8), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR_EXACT)


def _text(rng: Random) -> Picture:
    """Lines of letters, or one large sign."""
    picture = _blank(rng) if rng.random() < 0.7 else background(SIZE, False, rng)
    height = int(choice(rng, (6, 8, 11, 16, 30)))
    for y in range(int(rng.integers(0, height)) + height // 2, SIZE + height, height + 2):
        if rng.random() < 0.85:
            _write(picture, rng, (int(rng.integers(-8, 10)), y), height)
    return picture


def _upside_down(rng: Random) -> Picture:
    return _portrait(rng, _pose(rng, roll=math.pi + bell(rng, 0.5)))


UNUSABLE: dict[str, Callable[[Random], Picture]] = {
    "no face": _no_face,
    "cut off": _cut_off,
    "covered": _covered,
    "blurred": _blurred,
    "blank": _blank,
    "text": _text,
    "upside down": _upside_down,
}


def _portrait(rng: Random, pose: Pose) -> Picture:
    return take(choice(rng, tuple(PROTOTYPES)), SIZE, rng, pose)


def _pose(
    rng: Random, centre: tuple[float, float] | None = None, scale: float | None = None, roll: float | None = None
) -> Pose:
    """From a head with shoulders to a face that fills the picture, nearly to a profile, tilted by up to 39 degrees."""
    centre = centre or (0.5 + bell(rng, 0.08), 0.49 + bell(rng, 0.08))
    turns = bell(rng, 0.65), bell(rng, 0.35), bell(rng, 0.45) if roll is None else roll
    return Pose(scale or between(rng, 0.34, 0.7), centre, *map(angle, turns))


def _aside(rng: Random, low: float, high: float) -> tuple[float, float]:
    """Somewhere between `low` and `high` away, in any direction."""
    cosine, sine = angle(between(rng, 0, 2 * math.pi))
    distance = between(rng, low, high)
    return distance * cosine, distance * sine


def _patch(picture: Picture, rng: Random, share: float, aside: tuple[float, float]) -> None:
    """Covers an area of about 2 `share` a side, `aside` from the middle, all in shares of the picture."""
    x, y = (int(SIZE * (0.5 + part)) for part in aside)
    across, down = (max(1, int(SIZE * share * between(rng, 0.8, 1.3))) for _ in range(2))
    mask = np.zeros_like(picture)
    if rng.random() < 0.5:
        cv2.rectangle(mask, (x - across, y - down), (x + across, y + down), 255, -1)
    else:
        cv2.ellipse(mask, (x, y), (across, down), int(rng.integers(0, 180)), 0, 360, 255, -1)
    cover = _no_face(rng) if rng.random() < 0.5 else _blank(rng)
    np.copyto(picture, cover, where=mask > 0)


def _watermark(picture: Picture, rng: Random) -> None:
    _write(picture, rng, (int(rng.integers(-5, 20)), int(choice(rng, (8, 30, 40, 46)))), int(rng.integers(5, 9)))


def _write(picture: Picture, rng: Random, place: tuple[int, int], height: int) -> None:
    text = "".join(choice(rng, LETTERS) for _ in range(int(rng.integers(3, 14))))
    tone = int(rng.integers(0, 256))
    thickness = max(1, height // int(rng.integers(5, 12)))
    cv2.putText(picture, text, place, choice(rng, FONTS), height / 22, tone, thickness, cv2.LINE_AA)


def photographed(picture: Picture, rng: Random) -> Picture:
    """In another light, with another contrast, a little out of focus, and noisy: what says nothing about its use."""
    if rng.random() < 0.4:
        picture = cv2.blur(picture, (3, 3))
    if rng.random() < 0.5:  # from one side
        corners = rng.integers(40, 240, (2, 2)).astype(np.uint8)
        light = cv2.resize(corners, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR_EXACT).astype(np.uint16)
        picture = np.minimum((picture * light) >> 7, 255).astype(np.uint8)
    contrast, brightness = between(rng, 0.5, 2.0), bell(rng, 60)
    tones = np.clip((np.arange(256) - 128) * contrast + 128 + brightness, 0, 255)
    picture = tones.astype(np.uint8)[picture]
    noise = np.frombuffer(rng.bytes(SIZE * SIZE), np.int8).reshape(SIZE, SIZE).astype(np.int16)
    return np.clip(picture + ((noise * int(rng.integers(0, 20))) >> 8), 0, 255).astype(np.uint8)
