"""Seconds an epoch, validation included: the report's pipeline without the waits of tf.data's autotuning, which the
others are compared with, and as it is; this repository, and two of its runs at once.
"""

import zipfile
from pathlib import Path

import pandas as pd

from benchmarks.prepare import run_stage, source, write_params
from benchmarks.sides import Side
from benchmarks.tables import compared

TURNS = 5


def folder_for(folder: Path, **changes) -> Path:
    """Makes `folder` one that both sides can train in."""
    write_params(folder, source() | changes)
    for stage in ("download", "split", "preprocess"):
        run_stage(folder, stage)
    (raw,) = (folder / "data/raw").glob("*.zip")
    with zipfile.ZipFile(raw) as archive:
        archive.extractall(folder / "images")
    return folder


def measure(folder: Path) -> pd.DataFrame:
    folder_for(folder, epochs=1000)
    other = folder.with_name("second")
    folder_for(other, epochs=1000, seed=2)
    sides = [Side(folder, kind) for kind in ("untuned", "report", "ours")]
    ours, second = sides[-1], Side(other, "ours")
    names = ("the report's pipeline without those waits", "the report's pipeline", "this repository")
    rows: dict[str, list[float]] = {name: [] for name in (*names, "this repository, two runs at once, per run")}
    for turn in range(1 + TURNS):
        times = [side.turn()["seconds"] for side in sides]
        ours.begin()
        second.begin()
        both = max(ours.end()["seconds"], second.end()["seconds"])
        if turn:  # the first one traces and warms up
            for seconds, value in zip(rows.values(), (*times, both / 2), strict=True):
                seconds.append(value)
    for side in (*sides, second):
        side.close()
    return compared(rows)
