"""Seconds an epoch, validation included: the report's pipeline, this repository, and two of its runs at once."""

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
    report, ours, second = Side(folder, "report"), Side(folder, "ours"), Side(other, "ours")
    seconds: dict[str, list[float]] = {
        "the report's pipeline": [],
        "this repository": [],
        "this repository, two runs at once, per run": [],
    }
    single, alone, pair = seconds.values()
    for turn in range(1 + TURNS):
        times = [report.turn()["seconds"], ours.turn()["seconds"]]
        ours.begin()
        second.begin()
        both = max(ours.end()["seconds"], second.end()["seconds"])
        if turn:  # the first one traces and warms up
            for measured, value in zip((single, alone, pair), (*times, both / 2), strict=True):
                measured.append(value)
    for side in (report, ours, second):
        side.close()
    return compared(seconds)
