"""Random numbers as the faces use them: sums and products of uniforms, which are the same on every machine."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Random = np.random.Generator
Option = TypeVar("Option")


def between(rng: Random, low: float, high: float) -> float:
    """Uniform, from `low` up to but not including `high`."""
    return low + (high - low) * rng.random()


def bell(rng: Random, spread: float) -> float:
    """Roughly normal around 0, never beyond 1.5 spreads."""
    return spread * (rng.random() + rng.random() + rng.random() - 1.5)


def choice(rng: Random, options: Sequence[Option]) -> Option:
    """Any of the options, each as likely."""
    return options[int(rng.integers(len(options)))]
