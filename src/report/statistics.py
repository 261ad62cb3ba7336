"""Means over seeds with 95 % intervals, and what they say about one more run. A sample is a Series: seed -> value."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

LEVEL = 0.95
NOT_RUN = "not run"


def number(value: float, form: str = ".4f") -> str:
    """`value` as text; it is infinite or NaN where too few cells ran."""
    return format(value, form) if np.isfinite(value) else NOT_RUN


class Interval(NamedTuple):
    """A mean over `n` runs and half the width of the interval around it.

    Without runs the mean is NaN; with fewer than two the width is infinite, as one does not tell how runs vary.
    """

    mean: float
    half: float
    n: int

    @property
    def low(self) -> float:
        """Where it begins."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Where it ends."""
        return self.mean + self.half

    def __str__(self) -> str:
        if not self.n:
            return NOT_RUN
        spread = f" ± {self.half:.4f}" if self.n > 1 else ""
        return f"{self.mean:.4f}{spread} (n = {self.n})"

    def percent(self) -> str:
        """As text, for shares."""
        if not self.n:
            return NOT_RUN
        return f"{self.mean:+.1%}" + (f" ({self.low:.1%} to {self.high:.1%})" if self.n > 1 else "")


def mean_interval(values: ArrayLike) -> Interval:
    """Where the mean of many more runs would lie: Student, "The probable error of a mean", Biometrika 6, 1908."""
    return _interval(values, 0)


def prediction_interval(values: ArrayLike) -> Interval:
    """Where one more run would lie: Hahn and Meeker, "Statistical Intervals", 1991, for normal samples."""
    return _interval(values, 1)


def difference(one: pd.Series, other: pd.Series) -> Interval:
    """`one` minus `other` of the same seed, over the seeds that both have."""
    return mean_interval((one - other).dropna())


def relative_gain(one: pd.Series, other: pd.Series) -> Interval:
    """`one` over `other` of the same seed, minus 1, over the seeds that both have."""
    return mean_interval((one / other - 1).dropna())


def _interval(values: ArrayLike, further_runs: int) -> Interval:
    values = np.asarray(values, float)
    n = len(values)
    if n < 2:
        return Interval(float(values.mean()) if n else float("nan"), float("inf"), n)
    quantile = stats.t.ppf((1 + LEVEL) / 2, n - 1)
    return Interval(float(values.mean()), float(quantile * values.std(ddof=1) * np.sqrt(further_runs + 1 / n)), n)
