"""What a face shows: intensities of FACS action units.

Emotions follow the EMFACS prototypes (Friesen & Ekman, "EMFACS-7: Emotional Facial Action Coding System", 1983),
action units the FACS manual (Ekman & Friesen, 1978). How strong, how mixed and how lopsided they come is ours.
"""

from dataclasses import dataclass

from src.drawn.chance import Random, bell, between, choice

PROTOTYPES = {
    "angry": (4, 5, 7, 23),
    "disgust": (9, 15, 16),
    "fear": (1, 2, 4, 5, 7, 20, 26),
    "happy": (6, 12),
    "neutral": (),
    "sad": (1, 4, 15),
    "surprise": (1, 2, 5, 26),
}
UNITS = sorted({unit for units in PROTOTYPES.values() for unit in units})
STRENGTH = 0.4, 1.1  # of an expression, weakest and strongest
BLENDED = 0.25  # share of faces with a second emotion mixed in
BLEND = 0.15, 0.45  # its strength


@dataclass(frozen=True)
class Expression:
    """Intensity of every action unit, 0 to about 1, and how much stronger the right of the picture shows it."""

    units: dict[int, float]
    asymmetry: float = 0.0

    def __getitem__(self, unit: int) -> float:
        return self.units[unit]

    def side(self, unit: int, sign: int) -> float:
        """On one side of the face (sign -1: left in the picture)."""
        return self.units[unit] * (1 + sign * self.asymmetry)


def express(emotion: str, rng: Random) -> Expression:
    """The prototype of `emotion`, unevenly, over a resting face; in some faces with a trace of another emotion."""
    units = {unit: max(0.0, bell(rng, 0.15)) for unit in UNITS}
    asymmetry = bell(rng, 0.2)
    strength = between(rng, *STRENGTH)
    own = {unit: strength * between(rng, 0.6, 1.1) for unit in UNITS}
    blended, other, trace = rng.random() < BLENDED, choice(rng, tuple(PROTOTYPES)), between(rng, *BLEND)
    for unit in PROTOTYPES[emotion]:
        units[unit] = own[unit]
    if blended:
        for unit in PROTOTYPES[other]:
            units[unit] = max(units[unit], trace * own[unit] / strength)
    return Expression(units, asymmetry)
