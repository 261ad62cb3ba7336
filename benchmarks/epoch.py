"""Seconds an epoch, validation included: the report's pipeline with the waits of tf.data's autotuning left out, which
the others are compared with, and as it is; this repository, and two of its runs at once, a thread each.
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
    report, ours = Side(folder, "report"), Side(folder, "ours")
    one_core = [folder_for(folder.with_name(f"core{seed}"), epochs=1000, seed=seed, threads=1) for seed in (1, 2)]
    pair = [Side(of, "ours") for of in one_core]
    rows: dict[str, list[float]] = {
        "the report's pipeline, those waits left out": [],
        "the report's pipeline": [],
        "this repository": [],
        "this repository, two runs at once, per run": [],
    }
    for turn in range(1 + TURNS):
        reported, one = report.turn(), ours.turn()["seconds"]
        for side in pair:
            side.begin()
        both = max(side.end()["seconds"] for side in pair)
        if turn:  # the first one traces and warms up
            times = (reported["seconds"], reported["with_waits"], one, both / len(pair))
            for seconds, value in zip(rows.values(), times, strict=True):
                seconds.append(value)
    for side in (report, ours, *pair):
        side.close()
    return compared(rows)
