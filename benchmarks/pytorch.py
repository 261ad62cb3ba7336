"""Seconds an epoch beside PyTorch, validation included: one run on two cores, and two runs at once, a thread each; with
AVX2 on both sides, and with the widest vectors of this CPU on both.
"""

from importlib.util import find_spec
from pathlib import Path
from statistics import median

import pandas as pd

from benchmarks.epoch import beside, folder_for
from benchmarks.sides import Side

TURNS = 3
KINDS = {"PyTorch": "pytorch", "this repository": "ours"}
SETTINGS = {  # what -> runs at once, changed params
    "AVX2, one run": (1, {}),
    "AVX2, two runs at once, per run": (2, {"threads": 1}),
    "the widest vectors, one run": (1, {"portable": False}),
    "the widest vectors, two runs at once, per run": (2, {"threads": 1, "portable": False}),
}


def measure(folder: Path) -> pd.DataFrame:
    if not find_spec("torch"):
        raise SystemExit("error: PyTorch is not installed; pip install -r requirements-bench.txt")
    folder_for(folder)
    groups = {
        (what, name): [
            Side(beside(folder, f"{kind}-{number}-{seed}", epochs=1000, seed=seed, **changes), kind)
            for seed in range(1, 1 + runs)
        ]
        for number, (what, (runs, changes)) in enumerate(SETTINGS.items())
        for name, kind in KINDS.items()
    }
    seconds: dict[tuple[str, str], list[float]] = {place: [] for place in groups}
    for turn in range(1 + TURNS):
        for place, sides in groups.items():
            for side in sides:
                side.begin()
            slowest = max(side.end()["seconds"] for side in sides)
            if turn:  # the first one traces and warms up
                seconds[place].append(slowest / len(sides))
    for sides in groups.values():
        for side in sides:
            side.close()
    return pd.DataFrame(_row(what, *(seconds[what, name] for name in KINDS)) for what in SETTINGS)


def _row(what: str, other: list[float], ours: list[float]) -> dict[str, str]:
    spread = {
        name: f"{median(v):.2f} ({min(v):.2f} to {max(v):.2f})" for name, v in zip(KINDS, (other, ours), strict=True)
    }
    return {"": what, **spread, "times faster": f"{median(other) / median(ours):.2f}"}
