"""Seconds an epoch as images get larger and the network wider: drawn faces of `ai`, a tenth of them. A width multiplies
the numbers of filters and of dense units.
"""

import subprocess
from pathlib import Path
from statistics import median

import pandas as pd

from benchmarks.epoch import folder_for
from benchmarks.prepare import HERE, python
from benchmarks.sides import Side
from src import plain_yaml

TURNS = 3
SHAPES = [(24, 1), (48, 1), (96, 1), (192, 1), (48, 2), (48, 4)]  # pixels a side, width
SIZE = """
from src import params
from src.model import network
model = network.build(params.load())
print(network.operations(model), model.count_params())
"""


def measure(folder: Path) -> pd.DataFrame:
    return pd.DataFrame(_row(folder.with_name(f"{pixels}-{width}"), pixels, width) for pixels, width in SHAPES)


def _row(folder: Path, pixels: int, width: int) -> dict[str, object]:
    model = plain_yaml.read(HERE / "params.yaml")["model"]
    folder_for(
        folder,
        **{
            "source": "rendered",
            "local_path": None,
            "datasets.ai.input_size": pixels,
            "model.filters": [width * filters for filters in model["filters"]],
            "model.dense_units": width * model["dense_units"],
            "epochs": 1000,
        },
    )
    said, _ = python(folder, "-c", SIZE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).communicate()
    operations, parameters = map(int, said.split())
    trained = Side(folder, "ours")
    seconds = median([trained.turn()["seconds"] for _ in range(1 + TURNS)][1:])  # the first one traces and warms up
    trained.close()
    return {
        "pixels a side": pixels,
        "width": width,
        "parameters": f"{parameters:,}",
        "million operations an image": f"{operations / 1e6:.2f}",
        "seconds an epoch": f"{seconds:.2f}",
        "nanoseconds an operation": f"{1e9 * seconds / operations / 2870:.3f}",
    }
