"""Means over seeds, and what they can say about one more run."""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95
NOT_RUN = "not run"
INPUT_SIZE = "datasets.ai2.input_size"


class Interval(NamedTuple):
    """A mean over `n` runs with a 95 % interval around it; infinite when one run does not tell how runs vary."""

    mean: float
    half: float
    n: int

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half

    def __str__(self) -> str:
        if not self.n:
            return NOT_RUN
        spread = f" ± {self.half:.4f}" if np.isfinite(self.half) else ""
        return f"{self.mean:.4f}{spread} (n = {self.n})"


def of_mean(values) -> Interval:
    """Where the mean of many more runs would lie: Student's t."""
    return _interval(values, lambda n: 1 / n)


def of_next(values) -> Interval:
    """Prediction interval: where one more run would lie."""
    return _interval(values, lambda n: 1 + 1 / n)


def _interval(values, variance) -> Interval:
    values = np.asarray(values, float)
    n = len(values)
    if n < 2:
        return Interval(float(values.mean()) if n else float("nan"), float("inf"), n)
    half = stats.t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) * np.sqrt(variance(n))
    return Interval(float(values.mean()), float(half), n)


def cells(rows: pd.DataFrame, dataset: str, conv_layers: int = 3, **others) -> pd.DataFrame:
    """The rows of one configuration, indexed by seed; `others` are all it varies besides, dots as `__`."""
    wanted = {name.replace("__", "."): value for name, value in others.items()}
    same = pd.Series([json.loads(text) == wanted for text in rows["varied"]], rows.index, bool)
    return rows[same & (rows["dataset"] == dataset) & (rows["conv_layers"] == conv_layers)].set_index("seed")


def by_resolution(rows: pd.DataFrame) -> dict[int, dict[int, pd.DataFrame]]:
    """Layers -> pixels a side -> the rows of ai2, indexed by seed, that differ in nothing else; without lone sizes."""
    third = rows[rows["dataset"] == "ai2"]
    rest = [{name: v for name, v in json.loads(text).items() if name != INPUT_SIZE} for text in third["varied"]]
    third = third.assign(rest=[json.dumps(others, sort_keys=True) for others in rest])
    groups = [group for _, group in third.groupby(["conv_layers", "rest"]) if group["input_size"].nunique() > 1]
    longest = {int(group["conv_layers"].iloc[0]): group for group in sorted(groups, key=len)}
    return {
        layers: {int(size): found.set_index("seed") for size, found in longest[layers].groupby("input_size")}
        for layers in sorted(longest)
    }


def at(found: pd.DataFrame, curve: str, epoch: int) -> pd.Series:
    """The curve's value at `epoch` (1 is the first), per seed; runs that ended before are left out."""
    return pd.Series(
        {seed: values[epoch - 1] for seed, values in found[curve].items() if len(values) >= epoch}, dtype=float
    )


def last_ten(found: pd.DataFrame, curve: str, epoch: int | None = None) -> pd.Series:
    """The mean of the ten epochs that end at `epoch`, by default the last one, per seed: single epochs swing."""
    long = {seed: values for seed, values in found[curve].items() if epoch is None or len(values) >= epoch}
    return pd.Series({seed: np.mean(values[:epoch][-10:]) for seed, values in long.items()}, dtype=float)


def paired(one: pd.Series, other: pd.Series) -> Interval:
    """`one` minus `other`, seed by seed."""
    return of_mean((one - other).dropna())
