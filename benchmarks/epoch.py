"""Seconds an epoch, validation included: the report's pipeline with the waits of tf.data's autotuning left out, which
the others are compared with, and as it is; this repository, and two of its runs at once, a thread each; both also with
the kernels of this CPU, which the report's pipeline uses.
"""

import zipfile
from itertools import chain
from pathlib import Path

import pandas as pd

from benchmarks.prepare import link_code, run_stage, source, write_params
from benchmarks.sides import Side
from benchmarks.tables import compared
from src.core.files import RAW

TURNS = 5
OURS = {  # what -> runs at once, changed params
    "this repository": (1, {}),
    "this repository, two runs at once, per run": (2, {"threads": 1}),
    "this repository, portable=false": (1, {"portable": False}),
    "this repository, portable=false, two runs at once, per run": (2, {"threads": 1, "portable": False}),
}


def folder_for(folder: Path, **changes: object) -> Path:
    """Makes `folder` one that both sides can train in."""
    write_params(folder, source() | changes)
    link_code(folder)
    for stage in ("download", "split", "preprocess"):
        run_stage(folder, stage)
    with zipfile.ZipFile(folder / RAW) as archive:
        archive.extractall(folder / "images")
    return folder


def beside(prepared: Path, name: str, **changes: object) -> Path:
    """A folder with the data of `prepared` and other params."""
    folder = prepared.with_name(name)
    write_params(folder, source() | changes)
    link_code(folder)
    for made in ("data", "images", "metrics"):
        (folder / made).symlink_to(prepared / made)
    return folder


def measure(folder: Path) -> pd.DataFrame:
    report = Side(folder_for(folder), "report")
    groups = {
        what: [
            Side(beside(folder, f"{number}-{seed}", epochs=1000, seed=seed, **changes), "ours")
            for seed in range(1, 1 + runs)
        ]
        for number, (what, (runs, changes)) in enumerate(OURS.items())
    }
    names = ("the report's pipeline, those waits left out", "the report's pipeline", *groups)
    rows: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(1 + TURNS):
        times = [report.turn()["seconds"], report.end()["seconds"]]
        for sides in groups.values():
            for side in sides:
                side.begin()
            times.append(max(side.end()["seconds"] for side in sides) / len(sides))
        if turn:  # the first one traces and warms up
            for seconds, value in zip(rows.values(), times, strict=True):
                seconds.append(value)
    for side in (report, *chain(*groups.values())):
        side.close()
    return compared(rows)
