"""Who is in the picture and how they hold their head; colours are (blue, green, red), as in OpenCV.

Every choice is drawn here, before any pixel, and none depends on the picture's size: the same index is the same
face at any size.
"""

import math
from dataclasses import dataclass

from src.drawn.chance import Random, bell, between, choice

Colour = tuple[float, float, float]
Angle = tuple[float, float]  # cosine and sine

SKINS = [
    (184, 211, 243),
    (158, 190, 232),
    (134, 168, 214),
    (104, 142, 196),
    (84, 122, 176),
    (64, 98, 150),
    (48, 72, 116),
    (36, 52, 84),
]
HAIRS = [
    (22, 24, 30),
    (30, 38, 54),
    (42, 60, 88),
    (54, 84, 124),
    (82, 126, 168),
    (120, 172, 206),
    (38, 66, 138),
]
GREYS = [(150, 152, 154), (206, 210, 214), (110, 112, 116)]
IRISES = [(22, 36, 60), (28, 50, 82), (56, 84, 88), (112, 92, 62), (96, 92, 84)]  # the dark ones first


def times(colour: Colour, factor: float) -> Colour:
    """The colour, darker or, with a factor above 1, lighter."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour, the rest of the first."""
    blue, green, red = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return blue, green, red


def any_colour(rng: Random, low: float, high: float) -> Colour:
    """Each of blue, green and red between `low` and `high`."""
    return between(rng, low, high), between(rng, low, high), between(rng, low, high)


def grey(level: float) -> Colour:
    """As much of blue, green and red."""
    return level, level, level


def angle(radians: float) -> Angle:
    """Rounded, as the C library's sine may differ in the last digit from one machine to the next."""
    return round(math.cos(radians), 9), round(math.sin(radians), 9)


@dataclass(frozen=True)
class Pose:
    """Where the head is (shares of the picture) and how it is turned."""

    scale: float
    centre: tuple[float, float]
    yaw: Angle
    pitch: Angle
    roll: Angle

    def upright(self) -> "Pose":
        """The same place, not turned."""
        straight = (1.0, 0.0)
        return Pose(self.scale, self.centre, straight, straight, straight)

    def from_afar(self) -> "Pose":
        """With the shoulders in the picture, not cut out around the face."""
        return Pose(0.6 * self.scale, (self.centre[0], self.centre[1] - 0.06), self.yaw, self.pitch, self.roll)


@dataclass(frozen=True)
class Person:
    """Lengths are shares of half the head's height."""

    skin: Colour
    lip: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    clothes: Colour
    width: float
    jaw: float
    eye_x: float
    eye_y: float
    eye_size: float
    nose: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    lips: float
    brow_gap: float
    brow_weight: float
    brow_arch: float
    lashes: float
    age: float
    freckles: bool
    hair_style: str  # bald | receding | short | parted | fringe | curly
    hair_length: float  # where it ends below the ears; below 0: at the ears
    hair_volume: float
    beard: str  # none | stubble | moustache | goatee | full
    glasses: str  # none | round | square
    collar: str  # round | shirt


def meet(rng: Random) -> Person:
    """A person like no other."""
    place = between(rng, 0, len(SKINS) - 1.001)
    skin = mix(SKINS[int(place)], SKINS[int(place) + 1], place - int(place))
    skin = mix(skin, times((150, 165, 215), between(rng, 0.7, 1.1)), between(rng, 0.0, 0.12))
    age = rng.random()
    hair = choice(rng, GREYS if rng.random() < 0.7 * (age - 0.35) else HAIRS)
    hair = times(hair, between(rng, 0.85, 1.15))
    bearded, long = rng.random() < 0.3, rng.random() < 0.5
    style = choice(rng, ("short", "parted", "parted", "fringe", "curly"))
    if not long and rng.random() < 0.25:
        style = choice(rng, ("bald", "receding"))
    return Person(
        skin=skin,
        lip=mix(times(skin, 0.8), (70, 62, 168), between(rng, 0.15, 0.5)),
        hair=hair,
        brow=mix(times(hair, 0.75), times(skin, 0.35), 0.35),
        iris=choice(rng, IRISES if place < 3.5 else IRISES[:2]),
        clothes=mix(any_colour(rng, 20, 215), grey(between(rng, 20, 200)), 0.55),
        width=between(rng, 0.68, 0.82),
        jaw=between(rng, 0.5, 0.85),
        eye_x=between(rng, 0.29, 0.35),
        eye_y=between(rng, -0.20, -0.12),
        eye_size=between(rng, 0.9, 1.2),
        nose=between(rng, 0.85, 1.2),
        nose_width=between(rng, 0.85, 1.3),
        mouth_y=between(rng, 0.44, 0.52),
        mouth_width=between(rng, 0.21, 0.28),
        lips=between(rng, 0.6, 1.35),
        brow_gap=between(rng, 0.17, 0.23),
        brow_weight=between(rng, 0.6, 1.4),
        brow_arch=between(rng, 0.0, 0.035),
        lashes=between(rng, 0.4, 1.0) if long else between(rng, 0.0, 0.5),
        age=age,
        freckles=rng.random() < 0.15,
        hair_style=style,
        hair_length=between(rng, 0.3, 1.4) if long else -1.0,
        hair_volume=between(rng, 0.03, 0.2),
        beard=choice(rng, ("stubble", "stubble", "moustache", "goatee", "full")) if bearded and not long else "none",
        glasses=choice(rng, ("round", "square")) if rng.random() < 0.18 else "none",
        collar=choice(rng, ("round", "shirt")),
    )


def stand(rng: Random) -> Pose:
    """Position, size and three angles in radians: yaw to 0.5, pitch and roll to 0.3."""
    yaw, pitch, roll = (angle(bell(rng, spread)) for spread in (0.35, 0.2, 0.2))
    centre = 0.5 + bell(rng, 0.05), 0.52 + bell(rng, 0.05)
    return Pose(between(rng, 0.4, 0.47), centre, yaw, pitch, roll)
