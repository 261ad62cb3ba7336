"""Seconds an epoch, validation included, where the bits are others: one thread, kernels of this CPU, 16 bits, XLA."""

from pathlib import Path

import pandas as pd

from benchmarks.epoch import beside, folder_for
from benchmarks.sides import Side
from benchmarks.tables import compared

TURNS = 3
SIDES = {  # what -> kind of side, changed params
    "this repository": ("ours", {}),
    "threads: 1": ("ours", {"threads": 1}),
    "portable: false": ("ours", {"portable": False}),
    "portable: false, train.precision: mixed_bfloat16": (
        "ours",
        {"portable": False, "train.precision": "mixed_bfloat16"},
    ),
    "XLA, not a param": ("xla", {}),
}


def measure(folder: Path) -> pd.DataFrame:
    folder_for(folder)
    sides = {
        what: Side(beside(folder, f"side{number}", epochs=1000, **changes), kind)
        for number, (what, (kind, changes)) in enumerate(SIDES.items())
    }
    seconds: dict[str, list[float]] = {what: [] for what in sides}
    for turn in range(1 + TURNS):
        for what, side in sides.items():
            taken = side.turn()["seconds"]
            if turn:  # the first one traces and warms up
                seconds[what].append(taken)
    for side in sides.values():
        side.close()
    return compared(seconds)
