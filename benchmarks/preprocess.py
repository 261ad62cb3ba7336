"""Seconds to decode all images: one pass of the report's flow_from_directory, and the preprocess stage's own code."""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmarks.epoch import folder_for
from benchmarks.tables import compared

TURNS = 5


def measure(folder: Path) -> pd.DataFrame:
    from benchmarks.report_pipeline import generators
    from src import params
    from src.dataset import arrays, manifest

    folder_for(folder)
    chosen = params.load(folder / "params.yaml")
    table = manifest.read(folder / "data/manifest/ai.csv")
    size = chosen.data.input_size

    def report() -> None:
        for generator in generators(folder / "images", size, zoom=0.0):
            for number in range(len(generator)):
                generator[number]

    def ours() -> None:
        arrays.write(folder / "again", folder / "data/raw/ai.zip", table, chosen.data.labels, size, chosen.preprocess)

    seconds: dict[str, list[float]] = {"flow_from_directory": [], "preprocess": []}
    for _ in range(TURNS):
        for name, side in zip(seconds, (report, ours), strict=True):
            seconds[name].append(_timed(side))
    return compared(seconds, f"seconds for {len(table):,} images")


def _timed(side: Callable[[], None]) -> float:
    started = time.perf_counter()
    side()
    return time.perf_counter() - started
