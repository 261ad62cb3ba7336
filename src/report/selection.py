"""Which finished runs are compared, and what is read from their curves.

`rows` are those of `Grid.rows`: one per finished run, its curves as lists with a value per epoch. The runs of one
configuration differ by their seed alone.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from src.report.grid import CURVES

TRAINING, VALIDATION = CURVES
LEAD = "validation minus training"
INPUT_SIZE = "datasets.ai2.input_size"
WINDOW = 10  # epochs of which an accuracy is the mean: single ones swing, and no best one is ever picked
LEARNED = 0.05  # points above the majority class that training accuracy reaches where a run has learned anything


class Configuration(NamedTuple):
    """What runs have in common that differ by their seed alone, and maybe by when they end; then the longest count."""

    dataset: str
    conv_layers: int = 3
    varied: Mapping[str, object] = {}  # all that its cells in grid.yaml set besides, but epochs: param -> value

    def training(self, end: int | None = None, since: int | None = None) -> "Accuracy":
        """On the training images; the epochs as in `Accuracy`."""
        return Accuracy(self, TRAINING, end, since)

    def validation(self, end: int | None = None, since: int | None = None) -> "Accuracy":
        """On the validation images; as well."""
        return Accuracy(self, VALIDATION, end, since)

    def lead(self, end: int | None = None) -> "Accuracy":
        """Of validation over training; as well."""
        return Accuracy(self, LEAD, end)

    @property
    def key(self) -> str:
        """Equal for equal configurations."""
        return json.dumps([self.dataset, self.conv_layers, dict(sorted(self.varied.items()))])


class Accuracy(NamedTuple):
    """An accuracy, from 0 to 1, of the runs of a configuration: the mean of some epochs up to the one called `end`."""

    configuration: Configuration
    curve: str  # TRAINING, VALIDATION or LEAD
    end: int | None = None  # the first epoch is 1; runs that ended before it have none. None: the last one of the runs
    since: int | None = None  # what it has gained since that epoch


class Group:
    """The finished runs of one configuration."""

    def __init__(self, configuration: Configuration, runs: pd.DataFrame):
        """`runs` is indexed by seed."""
        self.configuration, self.runs = configuration, runs
        self.epochs = int(runs["epochs"].iloc[0])
        self._curves = {curve: np.array(runs[curve].tolist(), float) for curve in CURVES}

    @property
    def setting(self) -> tuple[str, int]:
        """Dataset and pixels a side: where it is equal, single runs may vary alike."""
        return self.configuration.dataset, int(self.runs["input_size"].iloc[0])

    def curve(self, name: str) -> np.ndarray:
        """(runs, epochs)"""
        if name == LEAD:
            return self._curves[VALIDATION] - self._curves[TRAINING]
        return self._curves[name]

    def values(self, of: "Accuracy", window: int = WINDOW) -> pd.Series:
        """Seed -> what `of` asks for, whatever its configuration: of so many epochs, or of all if they are fewer."""
        end = of.end or self.epochs
        if end > self.epochs:
            return pd.Series(dtype=float)
        values = self.curve(of.curve)[:, max(0, end - window) : end].mean(axis=1)
        if of.since:
            values = values - self.values(of._replace(end=of.since, since=None), window).to_numpy()
        return pd.Series(values, self.runs.index)

    @property
    def learned(self) -> bool:
        """Whether every run is better, on the images it trains on, than who always says the most frequent label."""
        return bool((self.values(self.configuration.training()) > self.runs["majority"] + LEARNED).all())


class Runs:
    """The finished runs, by configuration."""

    def __init__(self, rows: pd.DataFrame):
        """Of a configuration whose runs differ in their epochs the longest ones are kept; short ones that were `timed`
        are kept apart."""
        self.groups: dict[str, Group] = {}
        self.timed, rows = rows[rows["timed"]], rows[~rows["timed"]]
        if rows.empty:
            return
        configurations = [
            Configuration(dataset, int(layers), {n: v for n, v in json.loads(text).items() if n != "epochs"})
            for dataset, layers, text in zip(rows["dataset"], rows["conv_layers"], rows["varied"], strict=True)
        ]
        of_key = {configuration.key: configuration for configuration in configurations}
        keys = pd.Series([configuration.key for configuration in configurations], rows.index)
        for key, table in rows.groupby(keys, sort=False):
            longest = table[table["epochs"] == table["epochs"].max()]
            self.groups[str(key)] = Group(of_key[str(key)], longest.set_index("seed"))

    def of(self, configuration: Configuration) -> Group | None:
        """Those of one configuration; None where none has finished."""
        return self.groups.get(configuration.key)

    def finished(self, configurations: Mapping[int | float, Configuration]) -> dict[int | float, Group]:
        """The runs of each configuration that has any."""
        groups = {key: self.of(configuration) for key, configuration in configurations.items()}
        return {key: group for key, group in groups.items() if group}

    def values(self, accuracy: Accuracy, window: int = WINDOW) -> pd.Series:
        """Seed -> accuracy, of the runs that are long enough."""
        group = self.of(accuracy.configuration)
        return group.values(accuracy, window) if group else pd.Series(dtype=float)


def mean_accuracy(rows: pd.DataFrame, curve: str) -> pd.Series:
    """The mean of the last ten epochs of each of any rows, with their index."""
    return pd.Series({index: np.mean(values[-WINDOW:]) for index, values in rows[curve].items()}, dtype=float)


# The report's three sets, as its text describes them. Of set 1 it publishes runs of 50 and of 100 epochs; the first 50
# of these are the run of 50.
SET_1, SET_2, SET_3 = Configuration("ai"), Configuration("ai_half"), Configuration("ai2")
SET_1_END = 50
SHARES = {share: Configuration("ai", varied={"split.train_share": share}) for share in (0.125, 0.25, 0.5)}

# The report's plan: clean data. Held-out images are duplicates of none that trained.
AS_THEY_ARE = {"split.policy": "clean"}
STRAIGHT, USABLE = {"preprocess.align": "segmentation"}, {"preprocess.usable": "network"}
NO_ISSUES, CROWD = {"split.leave_out": "issues"}, {"split.votes": "soft"}
CLEANED = {
    name: Configuration("ai", varied=AS_THEY_ARE | changes)
    for name, changes in {
        "as they are": {},
        "straightened by segmentation": STRAIGHT,
        "straightened by MTCNN": {"preprocess.align": "eyes"},
        "without unusable faces": USABLE,
        "without probably wrong labels": NO_ISSUES,
        "these three, by segmentation": STRAIGHT | USABLE | NO_ISSUES,
        "the crowd's majority as label": {"split.votes": "majority"},
        "the crowd's votes as labels": CROWD,
        "straightened and usable, the crowd's votes": STRAIGHT | USABLE | CROWD,
    }.items()
}


def depths(configuration: Configuration) -> dict[int | float, Configuration]:
    """Convolutional layers -> the same configuration with so many."""
    return {layers: configuration._replace(conv_layers=layers) for layers in (1, 2, 3, 4)}


def costs(runs: Runs) -> dict[str, dict[int, float]]:
    """Of each reading of the network that was timed on set 1, twice: layers, one to three -> what it costs."""
    found: dict[str, dict[int, float]] = {}
    if runs.timed.empty:
        return {}
    timed = runs.timed[(runs.timed["dataset"] == SET_1.dataset) & (runs.timed["conv_layers"] < 4)]
    for (units, place), table in timed.sort_values("conv_layers").groupby(["dense_units", "dropout_at"]):
        reading = f"{units} units, dropout at {place}"
        found[f"million multiplications, {reading}"] = dict(
            zip(table["conv_layers"], table["operations"] / 1e6, strict=True)
        )
        found[f"seconds, {reading}"] = dict(zip(table["conv_layers"], table["seconds_per_epoch"], strict=True))
    return found


def resolutions(runs: Runs) -> dict[int, dict[int, Group]]:
    """Layers -> pixels a side -> the runs on ai2 that differ in nothing else; without sizes that stand alone."""
    found: dict[tuple[int, str], dict[int, Group]] = {}
    for group in runs.groups.values():
        dataset, layers, varied = group.configuration
        if dataset == SET_3.dataset:
            others = {name: value for name, value in varied.items() if name != INPUT_SIZE} | {"epochs": group.epochs}
            found.setdefault((layers, json.dumps(others, sort_keys=True)), {})[group.setting[1]] = group
    several = [(layers, sizes) for (layers, _), sizes in found.items() if len(sizes) > 1]
    by_layers = dict(sorted(several, key=lambda item: len(item[1])))
    return {layers: dict(sorted(by_layers[layers].items())) for layers in sorted(by_layers)}
