"""Seconds an epoch, validation included, with other bits: one thread, other kernels of this CPU, 16 bits, XLA."""

from pathlib import Path

import pandas as pd

from benchmarks.epoch import beside, folder_for
from benchmarks.sides import Side
from benchmarks.tables import compared
from src.environment import cpu_features

TURNS = 3
SIDES = {  # what -> kind of side, changed params, what the CPU must have
    "this repository": ("ours", {}, "avx2"),
    "threads: 1": ("ours", {"threads": 1}, "avx2"),
    "portable: avx512": ("ours", {"portable": "avx512"}, "avx512f"),
    "portable: false": ("ours", {"portable": False}, "avx2"),
    "portable: false, train.precision: mixed_bfloat16": (
        "ours",
        {"portable": False, "train.precision": "mixed_bfloat16"},
        "avx512_bf16",
    ),
    "XLA, not a param": ("xla", {}, "avx2"),
}


def measure(folder: Path) -> pd.DataFrame:
    folder_for(folder)
    sides = {
        what: Side(beside(folder, f"side{number}", epochs=1000, **changes), kind)
        for number, (what, (kind, changes, needed)) in enumerate(SIDES.items())
        if needed in cpu_features()
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
