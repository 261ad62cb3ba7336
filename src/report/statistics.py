"""Means over seeds, how sure they are, and what they say about one more run.

Single runs vary. How much, few seeds tell badly: of three the standard deviation is easily half or twice what it should
be. So variances are pooled over the configurations of a dataset at one size, as in an analysis of variance, where
Bartlett's test does not say that they differ. A verdict has to be the same with a configuration's own variance
(`Conditions`).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from src.report.selection import WINDOW, Accuracy, Group, Runs

LEVEL = 0.95
NOT_RUN = "not run"


def number(value: float, form: str = ".4f") -> str:
    """`value` as text; it is infinite or NaN where too few cells ran."""
    return format(value, form) if np.isfinite(value) else NOT_RUN


class Estimate(NamedTuple):
    """A mean over `n` runs, or of a difference between runs, and its standard error with so many degrees of freedom.

    Without runs the mean is NaN. The error is infinite where nothing tells how runs vary.
    """

    mean: float
    error: float
    freedom: float
    n: int

    @property
    def half(self) -> float:
        """Half the width of the 95 % interval: Student, "The probable error of a mean", Biometrika 6, 1908."""
        if not np.isfinite(self.error):
            return float("inf")
        return float(stats.t.ppf((1 + LEVEL) / 2, self.freedom)) * self.error

    @property
    def low(self) -> float:
        """Where the interval begins."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Where it ends."""
        return self.mean + self.half

    def beyond(self, bound: float, above: bool) -> float:
        """The p-value, two-sided, against this not being above a bound (or below it): below 0.05 when `low` is."""
        distance = self.mean - bound if above else bound - self.mean
        if not np.isfinite(self.error) or not distance > 0:
            return 1.0
        if self.error == 0:  # runs that do not vary at all
            return 0.0
        return float(2 * stats.t.sf(distance / self.error, self.freedom))

    def __str__(self) -> str:
        if not self.n:
            return NOT_RUN
        spread = f" ± {self.half:.4f}" if np.isfinite(self.half) else ""
        return f"{self.mean:.4f}{spread} (n = {self.n})"

    def percent(self) -> str:
        """As text, for shares."""
        if not self.n:
            return NOT_RUN
        return f"{self.mean:+.1%}" + (f" ({self.low:.1%} to {self.high:.1%})" if np.isfinite(self.half) else "")


NOTHING = Estimate(float("nan"), float("inf"), 0, 0)


class Spread(NamedTuple):
    """The variance of single runs, with so many degrees of freedom."""

    variance: float
    freedom: float
    pooled: int = 0  # over how many configurations; 0 where it is a configuration's own


class Conditions(NamedTuple):
    """How the numbers are looked at. A verdict that is another one under other conditions hangs on luck."""

    window: int = WINDOW
    without: int | None = None  # a seed
    pooled: bool = True


USUAL = Conditions()


class Measured:
    """The finished runs under some conditions, and what is estimated from them."""

    def __init__(self, runs: Runs, conditions: Conditions = USUAL):
        self.runs, self.conditions = runs, conditions
        self._pools: dict[tuple[object, ...], Spread | None] = {}

    def values(self, accuracy: Accuracy) -> pd.Series:
        """Seed -> accuracy."""
        values = self.runs.values(accuracy, self.conditions.window)
        return values[values.index != self.conditions.without]

    def spread(self, accuracy: Accuracy) -> Spread:
        """How single runs vary: pooled where the conditions ask for it and the test allows it."""
        values = self.values(accuracy)
        pool = self._pooled(accuracy) if self.conditions.pooled else None
        if pool:
            return pool
        if len(values) < 2:
            return Spread(float("inf"), 0)
        return Spread(float(values.var(ddof=1)), len(values) - 1)

    def mean(self, accuracy: Accuracy) -> Estimate:
        """Where the mean of many more runs would lie."""
        return self._of_one(accuracy, 0)

    def one_more(self, accuracy: Accuracy) -> Estimate:
        """Where one more run would lie: Hahn and Meeker, "Statistical Intervals", 1991, for normal samples."""
        return self._of_one(accuracy, 1)

    def difference(self, one: Accuracy, other: Accuracy) -> Estimate:
        """`one` minus `other`: of the same seeds, or with pooled variances of the two means."""
        first, second = self.values(one), self.values(other)
        pools = [self.spread(accuracy) for accuracy in (one, other)]
        if not all(pool.pooled for pool in pools):
            return _mean((first - second).dropna())
        return _combined(first.mean() - second.mean(), (first, second), (1, 1), pools)

    def gain(self, one: Accuracy, other: Accuracy) -> Estimate:
        """`one` over `other`, minus 1: as `difference`; the error of a ratio of means by the delta method."""
        first, second = self.values(one), self.values(other)
        pools = [self.spread(accuracy) for accuracy in (one, other)]
        if not all(pool.pooled for pool in pools):
            return _mean((first / second - 1).dropna())
        slopes = 1 / second.mean(), first.mean() / second.mean() ** 2
        return _combined(first.mean() / second.mean() - 1, (first, second), slopes, pools)

    def _of_one(self, accuracy: Accuracy, further_runs: int) -> Estimate:
        values, spread = self.values(accuracy), self.spread(accuracy)
        if not len(values):
            return NOTHING
        error = np.sqrt(spread.variance * (further_runs + 1 / len(values)))
        return Estimate(float(values.mean()), float(error), spread.freedom, len(values))

    def _pooled(self, accuracy: Accuracy) -> Spread | None:
        """Over the configurations of its dataset at its size, up to the same epoch; None where these may differ."""
        group = self.runs.of(accuracy.configuration)
        if group is None:
            return None
        ended = accuracy._replace(end=accuracy.end or group.epochs)
        place = group.setting, *ended[1:]
        if place not in self._pools:
            self._pools[place] = self._pool(alike(self.runs, group), ended)
        return self._pools[place]

    def _pool(self, groups: list[Group], accuracy: Accuracy) -> Spread | None:
        # Whether they may be pooled is asked once, and of all runs: under other conditions it is the same question.
        samples = [values for group in groups if len(values := group.values(accuracy)) > 1]
        if len(samples) < 2 or not equal_variances(samples):
            return None
        every = [self.values(accuracy._replace(configuration=group.configuration)) for group in groups]
        used = [values for values in every if len(values) > 1]
        freedom = sum(len(values) - 1 for values in used)
        if not freedom:
            return None
        squares = sum(float(((values - values.mean()) ** 2).sum()) for values in used)
        return Spread(squares / freedom, freedom, len(used))


def alike(runs: Runs, group: Group) -> list[Group]:
    """The configurations of its dataset at its size, whose single runs may vary alike, itself too; those that learn."""
    return [other for other in runs.groups.values() if other.setting == group.setting and other.learned]


def equal_variances(samples: list[pd.Series]) -> bool:
    """Bartlett's test, at 5 %: "Properties of sufficiency and statistical tests", Proc. R. Soc. A 160, 1937.

    It takes samples of two, which say nothing to Levene's, and as they are means of ten epochs they are near normal.
    """
    if any(values.var(ddof=1) == 0 for values in samples):  # runs that do not vary at all
        return False
    return bool(stats.bartlett(*samples).pvalue >= 1 - LEVEL)


def holm(values: dict[str, float]) -> dict[str, float]:
    """p-values adjusted for their number: Holm, "A simple sequentially rejective multiple test procedure", 1979."""
    adjusted, highest = {}, 0.0
    for number_before, (name, value) in enumerate(sorted(values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, value * (len(values) - number_before)))
        adjusted[name] = highest
    return adjusted


def _mean(values: pd.Series) -> Estimate:
    n = len(values)
    if n < 2:
        return Estimate(float(values.mean()) if n else float("nan"), float("inf"), 0, n)
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)), n - 1, n)


def _combined(
    mean: float, samples: tuple[pd.Series, pd.Series], slopes: tuple[float, float], pools: list[Spread]
) -> Estimate:
    """Of two means. Two pools have Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946)."""
    n = min(map(len, samples))
    if not n:
        return NOTHING
    parts = [slope**2 * pool.variance / len(values) for values, slope, pool in zip(samples, slopes, pools, strict=True)]
    if pools[0] == pools[1]:
        freedom = pools[0].freedom
    else:
        freedom = sum(parts) ** 2 / sum(part**2 / pool.freedom for part, pool in zip(parts, pools, strict=True))
    return Estimate(float(mean), float(np.sqrt(sum(parts))), float(freedom), n)
