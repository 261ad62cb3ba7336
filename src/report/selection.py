"""Which finished runs are compared, and what is read from their curves.

`rows` are those of `Grid.rows`: one per finished run, its curves as lists with a value per epoch. The runs of one
configuration differ by their seed alone; a table of them is indexed by it.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from src.report.grid import CURVES

TRAINING, VALIDATION = CURVES
LEAD = "validation minus training"
INPUT_SIZE = "datasets.ai2.input_size"
Key = TypeVar("Key")


class Accuracy(NamedTuple):
    """An accuracy, from 0 to 1, of the runs of a configuration; `curve`, `end` and `epochs` as in `mean_accuracy`."""

    configuration: "Configuration"
    curve: str
    end: int | None = None
    epochs: int = 10

    def by_seed(self, rows: pd.DataFrame) -> pd.Series:
        """Seed -> accuracy, of the runs that are among `rows` and long enough."""
        return mean_accuracy(self.configuration.runs(rows), self.curve, self.end, self.epochs)


class Configuration(NamedTuple):
    """What runs have in common that differ by their seed alone; their accuracies, by default of the last ten epochs."""

    dataset: str
    conv_layers: int = 3
    varied: Mapping[str, object] | None = None  # all that its cells in grid.yaml set besides: param -> value

    def training(self, **epochs: int) -> Accuracy:
        """On the training images; `end` and `epochs` as in `mean_accuracy`."""
        return Accuracy(self, TRAINING, **epochs)

    def validation(self, **epochs: int) -> Accuracy:
        """On the validation images; as well."""
        return Accuracy(self, VALIDATION, **epochs)

    def lead(self, **epochs: int) -> Accuracy:
        """Of validation over training; as well."""
        return Accuracy(self, LEAD, **epochs)

    def runs(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Its finished runs, indexed by seed."""
        same = np.array([json.loads(text) == (self.varied or {}) for text in rows["varied"]], bool)
        same &= (rows["dataset"] == self.dataset) & (rows["conv_layers"] == self.conv_layers)
        return rows[same].set_index("seed")


def mean_accuracy(runs: pd.DataFrame, curve: str = VALIDATION, end: int | None = None, epochs: int = 10) -> pd.Series:
    """The mean of the last `epochs` up to epoch `end`, per run: single epochs swing, and no best one is ever picked.

    Args:
        runs: any rows; the result has their index.
        curve: TRAINING, VALIDATION or LEAD.
        end: the first epoch is 1; runs that ended before it are left out. None is the last one of each run.
    """
    if curve == LEAD:
        return mean_accuracy(runs, VALIDATION, end, epochs) - mean_accuracy(runs, TRAINING, end, epochs)
    curves = {index: values[:end] for index, values in runs[curve].items() if len(values) >= (end or 0)}
    return pd.Series({index: np.mean(values[-epochs:]) for index, values in curves.items()}, dtype=float)


# Of the report's three sets, as its text describes them, and of what it says about them.
SET_1, SET_2, SET_3 = Configuration("ai"), Configuration("ai_half"), Configuration("ai2")
SET_1_LONG = Configuration("ai", varied={"epochs": 100})
SET_3_SHORT = Configuration("ai2", varied={"epochs": 10})
FEWER_IMAGES = {share: Configuration("ai", varied={"split.train_share": share}) for share in (0.125, 0.25, 0.5)}


def depths(configuration: Configuration) -> dict[int, Configuration]:
    """Convolutional layers -> the same configuration with so many."""
    return {layers: configuration._replace(conv_layers=layers) for layers in (1, 2, 3, 4)}


def finished(rows: pd.DataFrame, configurations: dict[Key, Configuration]) -> dict[Key, pd.DataFrame]:
    """The runs of each configuration that has any."""
    tables = {key: configuration.runs(rows) for key, configuration in configurations.items()}
    return {key: runs for key, runs in tables.items() if len(runs)}


def by_resolution(rows: pd.DataFrame) -> dict[int, dict[int, pd.DataFrame]]:
    """Layers -> pixels a side -> the runs on ai2 that differ in nothing else; without sizes that stand alone."""
    third = rows[rows["dataset"] == "ai2"]
    others = [{name: v for name, v in json.loads(text).items() if name != INPUT_SIZE} for text in third["varied"]]
    third = third.assign(others=[json.dumps(values, sort_keys=True) for values in others])
    groups = [group for _, group in third.groupby(["conv_layers", "others"]) if group["input_size"].nunique() > 1]
    longest = {int(group["conv_layers"].iloc[0]): group for group in sorted(groups, key=len)}
    return {
        layers: {
            int(runs["input_size"].iloc[0]): runs.set_index("seed") for _, runs in longest[layers].groupby("input_size")
        }
        for layers in sorted(longest)
    }
