"""Drawn faces with what each pixel belongs to. Turned by up to 75 degrees to each side."""

import numpy as np

from src import progress
from src.drawn import PROTOTYPES
from src.drawn.chance import Random, bell, between, choice
from src.drawn.person import Pose, angle
from src.drawn.photo import take_with_parts
from src.segmentation import CELLS, PARTS, SIZE
from src.usable.examples import photographed

TURNED = 1.3  # radians at most


def examples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (count, SIZE, SIZE) uint8, and their parts (count, CELLS, CELLS) uint8: places in PARTS."""
    step = SIZE // CELLS
    pictures, parts = np.empty((count, SIZE, SIZE), np.uint8), np.empty((count, CELLS, CELLS), np.uint8)
    for number in progress.bar(range(count), "draw"):
        rng = np.random.default_rng([seed, number, 3])
        picture, belongs = take_with_parts(choice(rng, tuple(PROTOTYPES)), SIZE, rng, _pose(rng), PARTS)
        pictures[number], parts[number] = photographed(picture, rng), belongs[step // 2 :: step, step // 2 :: step]
    return pictures, parts


def _pose(rng: Random) -> Pose:
    centre = 0.5 + bell(rng, 0.09), 0.49 + bell(rng, 0.09)
    turns = bell(rng, 0.65), bell(rng, 0.35), between(rng, -TURNED, TURNED)
    return Pose(between(rng, 0.32, 0.72), centre, *map(angle, turns))
