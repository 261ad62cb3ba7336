"""How claims are decided. A part of a claim takes the finished cells' rows and gives a `Finding`.

Most parts are a `Comparison`: an interval of statistics.py that has to be `Within` bounds, or to reach a published gain
(`Reaches`). The functions below it decide what one interval cannot; `partial` binds all that they take but the rows.
"""

import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import pandas as pd

from src.report.selection import Accuracy, Configuration, by_resolution, finished, mean_accuracy
from src.report.statistics import NOT_RUN, Interval, difference, mean_interval, number, prediction_interval

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be decided with this data"


class Finding(NamedTuple):
    """What was measured, as text, and what follows from it."""

    numbers: str
    verdict: str  # HOLDS, FAILS or OPEN


Part = Callable[[pd.DataFrame], Finding]


class Within(NamedTuple):
    """Holds when the whole interval lies between the bounds, does not hold when all of it lies beyond one of them.

    Else, as without runs, it is open; so it is with one run, whose interval is infinite.
    """

    above: float = -math.inf
    below: float = math.inf

    def verdict(self, interval: Interval) -> str:
        """HOLDS, FAILS or OPEN."""
        if interval.high < self.above or interval.low > self.below:
            return FAILS
        return HOLDS if interval.low > self.above and interval.high < self.below else OPEN


class Reaches(NamedTuple):
    """Does not hold when the interval misses `low` to `high`; holds when it reaches them and not 0, else open."""

    low: float
    high: float

    def verdict(self, interval: Interval) -> str:
        """HOLDS, FAILS or OPEN."""
        if interval.high < self.low or interval.low > self.high:
            return FAILS
        return HOLDS if interval.low > 0 else OPEN


class Comparison(NamedTuple):
    """An interval of one or two accuracies, and what it has to do."""

    label: str
    samples: tuple[Accuracy, ...]
    needed: Within | Reaches
    interval: Callable[..., Interval] = difference
    shown: Callable[[Interval], str] = str

    def __call__(self, rows: pd.DataFrame) -> Finding:
        """The interval that these rows give, and what follows from it."""
        interval = self.interval(*(sample.by_seed(rows) for sample in self.samples))
        return Finding(": ".join(filter(None, (self.label, self.shown(interval)))), self.needed.verdict(interval))


def above_chance(rows: pd.DataFrame, configuration: Configuration, times: float) -> Finding:
    """One more run is above `times` the better of two guesses: any of seven classes, or the most frequent one."""
    majority = configuration.runs(rows)["majority"].mean()
    reached = prediction_interval(configuration.validation().by_seed(rows))
    numbers = f"{reached}; 1/7 = {1 / 7:.4f}, majority class: {number(majority)}"
    return Finding(numbers, Within(above=times * max(1 / 7, majority)).verdict(reached))


def larger_images(rows: pd.DataFrame, than: int, needed: Reaches) -> Finding:
    """The gain of the largest size over `than` pixels, with the most layers: two hardly learn at 192 pixels."""
    gains, shown = {}, []
    for layers, sizes in by_resolution(rows).items():
        small = mean_accuracy(sizes.pop(than, rows.head(0)))
        gains = {size: difference(mean_accuracy(runs), small) for size, runs in sizes.items()}
        shown += [f"{layers} layers, {size} minus {than} pixels: {gain}" for size, gain in gains.items()]
    largest = max(gains, default=0)
    return Finding("; ".join(shown) or NOT_RUN, needed.verdict(gains[largest]) if largest > than else OPEN)


def more_images(
    rows: pd.DataFrame, all_images: Configuration, shares: dict[float, Configuration], needed: Within
) -> Finding:
    """The gain of all training images over the smallest share of them that ran."""
    accuracy = {share: mean_accuracy(runs) for share, runs in finished(rows, shares).items()}
    accuracy[1] = all_images.validation().by_seed(rows)
    gain = difference(accuracy[1], accuracy[min(accuracy)]) if len(accuracy) > 1 else mean_interval([])
    shown = ", ".join(f"{share:g}: {number(values.mean())}" for share, values in accuracy.items())
    return Finding(f"by share {shown}; difference: {gain}", needed.verdict(gain))


def largest_change(rows: pd.DataFrame, default: Configuration, params: tuple[str, ...], needed: Within) -> Finding:
    """The largest change by one param alone, give or take what another seed does; it is small only if all varied."""
    accuracy = default.validation().by_seed(rows)
    another_seed = prediction_interval(accuracy)
    varied = rows["varied"].map(lambda text: " ".join(json.loads(str(text))))
    same = (rows["dataset"] == default.dataset) & (rows["conv_layers"] == default.conv_layers)
    runs = rows[same & varied.isin(params) & rows["seed"].isin(accuracy.index)]
    changes = mean_accuracy(runs) - runs["seed"].map(accuracy)
    largest = changes.abs().max()
    verdict = needed.verdict(another_seed._replace(mean=largest))
    if verdict == FAILS and set(varied[runs.index]) != set(params):
        verdict = OPEN  # one that did not run may be the largest
    names = runs["name"].str.split("-conv3-").str[-1]
    shown = ", ".join(f"{name} {change:+.4f}" for name, change in zip(names, changes, strict=True)) or NOT_RUN
    share = number(largest / accuracy.mean(), ".1%")  # the report may have meant this, the rule does not
    noise = number(another_seed.half)
    numbers = f"{shown}; largest, relative to the default: {share}; another seed, plus or minus: {noise}"
    return Finding(numbers, verdict)


def rising_operations(rows: pd.DataFrame, depths: dict[int, Configuration]) -> Finding:
    """Operations per image rise from each depth that ran to the next."""
    runs = finished(rows, depths)
    operations = {layers: int(table["operations"].iloc[0]) for layers, table in runs.items()}
    seconds = {layers: table["seconds_per_epoch"].mean() for layers, table in runs.items()}
    shown = ", ".join(f"{n}: {operations[n] / 1e6:.2f} M operations, {seconds[n]:.1f} s" for n in runs) or NOT_RUN
    rising = all(later > earlier for earlier, later in pairwise(operations.values()))
    return Finding(shown, OPEN if len(runs) < 2 else HOLDS if rising else FAILS)


def lead_in_every_run(rows: pd.DataFrame, pairs: Sequence[tuple[Configuration, ...]]) -> Finding:
    """Validation minus training accuracy is above 0 in every run that validates on the test folder.

    It does not hold when it is below 0 in all of these, and above 0 in every run that validates on the train folder.

    Args:
        pairs: validated on the train folder, on the test folder; the first with two runs or more on the test folder,
            and one on the train folder, decides.
    """
    on_train = on_test = pd.Series(dtype=float)
    enough = False
    for pair in pairs:
        on_train, on_test = (configuration.lead().by_seed(rows) for configuration in pair)
        if enough := len(on_train) > 0 and len(on_test) > 1:
            break
    shown = [", ".join(f"{lead:+.4f}" for lead in leads) or NOT_RUN for leads in (on_train, on_test)]
    fails = enough and on_train.min() > 0 > on_test.max()
    verdict = FAILS if fails else HOLDS if enough and on_test.min() > 0 else OPEN
    return Finding(f"on the train folder {shown[0]}; on the test folder {shown[1]}", verdict)


class Claim:
    """Parts that all have to hold: one that fails decides, else one that is open."""

    def __init__(self, rule: str, *parts: Part, note: Callable[[pd.DataFrame], str] | None = None):
        """`rule` is the parts in words; `note` gives numbers that decide nothing."""
        self.rule, self.parts, self.note = rule, parts, note

    def finding(self, rows: pd.DataFrame) -> Finding:
        """What the finished cells' rows say to it."""
        findings = [part(rows) for part in self.parts]
        numbers = [finding.numbers for finding in findings]
        if len(findings) > 1:
            numbers = [f"{text}, {'open' if verdict == OPEN else verdict}" for text, verdict in findings]
        if self.note:
            numbers.append(self.note(rows))
        return Finding("; ".join(numbers), min((verdict for _, verdict in findings), key=(FAILS, OPEN, HOLDS).index))
