"""Seconds to decode all images, small ones and large, drawn ones: one pass of the report's flow_from_directory, and the
preprocess stage's own code.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmarks.epoch import folder_for
from benchmarks.tables import compared

TURNS = 5


def measure(folder: Path) -> pd.DataFrame:
    large = {"dataset": "ai2", "source": "rendered", "local_path": None}  # 1,430 images of 416 x 416 pixels
    return pd.concat([_compared(folder / "small", {}), _compared(folder / "large", large)])


def _compared(folder: Path, changes: dict[str, object]) -> pd.DataFrame:
    from benchmarks.report_pipeline import generators
    from src import params
    from src.core import manifest
    from src.core.files import MANIFEST, RAW
    from src.preprocess import decode

    folder_for(folder, **changes)
    chosen = params.load(folder / "params.yaml")
    table = manifest.read(folder / MANIFEST)
    archive = folder / RAW
    size = chosen.data.input_size

    def report() -> None:
        for generator in generators(folder / "images", size, zoom=0.0):
            for number in range(len(generator)):
                generator[number]

    def ours() -> None:
        decode.write(folder / "again", archive, table, chosen)

    pixels = chosen.data.native_size
    what = f"{len(table):,} images of {pixels} x {pixels} pixels, to {size} x {size}"
    seconds: dict[str, list[float]] = {f"{what}: {name}": [] for name in ("flow_from_directory", "preprocess")}
    for _ in range(TURNS):
        for measured, side in zip(seconds.values(), (report, ours), strict=True):
            measured.append(_timed(side))
    return compared(seconds, "seconds")


def _timed(side: Callable[[], None]) -> float:
    started = time.perf_counter()
    side()
    return time.perf_counter() - started
