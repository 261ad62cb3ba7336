"""Time and memory of each stage as the set grows tenfold: ai2, 416 x 416 pixels, drawn; two epochs of training."""

import os
import time
from pathlib import Path

import pandas as pd

from benchmarks.prepare import link_code, python, write_params

STAGES = ("download", "split", "preprocess", "train")
IMAGES = {0.1: 1430, 1.0: 14300}  # rendered.scale: images


def measure(folder: Path) -> pd.DataFrame:
    return pd.DataFrame(row for scale in IMAGES for row in _stages(folder.with_name(f"{scale:g}"), scale))


def _stages(folder: Path, scale: float) -> list[dict[str, object]]:
    write_params(folder, {"dataset": "ai2", "rendered.scale": scale, "epochs": 2})
    link_code(folder)
    rows = []
    for stage in STAGES:
        started = time.perf_counter()
        process = python(folder, "-m", f"src.{stage}")
        _, status, usage = os.wait4(process.pid, 0)  # the peak of this one child
        seconds = time.perf_counter() - started
        if status:
            raise SystemExit(f"error: stage {stage} failed")
        rows.append(
            {
                "stage": stage,
                "images": IMAGES[scale],
                "seconds": f"{seconds:.1f}",
                "milliseconds an image": f"{1000 * seconds / IMAGES[scale]:.2f}",
                "peak memory, MiB": usage.ru_maxrss // 1024,
            }
        )
    return rows
