"""How claims are decided. A part of a claim takes what was measured and gives a `Decision`: two p-values.

What decides is the same everywhere: a claim's p-value, adjusted for the number of claims, is at most 0.05, and under
each of the `checks` the verdict is the same at 0.05. Else it is open.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from src.report.selection import LEAD, SET_3, Accuracy, Configuration, Runs, resolutions
from src.report.statistics import LEVEL, NOT_RUN, NOTHING, Conditions, Estimate, Measured, holm, number

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be decided with this data"
WINDOWS = (5, 15)  # epochs of which an accuracy is the mean in a check, beside the ten that decide


class Decision(NamedTuple):
    """What was measured, as text, and the p-values against a claim not holding, and against it not failing."""

    numbers: str
    holds: float = 1.0
    fails: float = 1.0
    margin: float = math.nan  # from the bound to the interval, where that lies on one side of it

    @property
    def value(self) -> float:
        """The p-value of what is more likely."""
        return min(self.holds, self.fails)

    def verdict(self, value: float | None = None) -> str:
        """HOLDS, FAILS or OPEN, by its own p-value or by an adjusted one."""
        if (self.value if value is None else value) > 1 - LEVEL:
            return OPEN
        return HOLDS if self.holds < self.fails else FAILS


class Part(Protocol):
    """Something that a claim says."""

    def __call__(self, measured: Measured) -> Decision:
        """What the runs say to it."""
        ...

    @property
    def datasets(self) -> set[str]:
        """Those of which it speaks."""
        ...


class Within(NamedTuple):
    """Holds when the whole interval lies between the bounds, does not hold when all of it lies beyond one of them."""

    above: float = -math.inf
    below: float = math.inf

    def decide(self, numbers: str, estimate: Estimate) -> Decision:
        """Between the bounds is above one and below the other, so the higher p-value counts; beyond is either."""
        bounds = [(bound, above) for bound, above in ((self.above, True), (self.below, False)) if math.isfinite(bound)]
        holds = max(estimate.beyond(bound, above) for bound, above in bounds)
        fails = min(estimate.beyond(bound, not above) for bound, above in bounds)
        inside = min(estimate.low - self.above, self.below - estimate.high)
        outside = max(self.above - estimate.high, estimate.low - self.below)
        return Decision(numbers, holds, fails, max(inside, outside))


class Comparison(NamedTuple):
    """An estimate from one or two accuracies, and what it has to do."""

    label: str
    estimate: Callable[..., Estimate]  # a method of Measured
    samples: tuple[Accuracy, ...]
    needed: Within
    shown: Callable[[Estimate], str] = str

    def __call__(self, measured: Measured) -> Decision:
        """The interval that these runs give, and what follows from it."""
        estimate = self.estimate(measured, *self.samples)
        return self.needed.decide(": ".join(filter(None, (self.label, self.shown(estimate)))), estimate)

    @property
    def datasets(self) -> set[str]:
        """Of its samples."""
        return {sample.configuration.dataset for sample in self.samples}


class AboveChance(NamedTuple):
    """One more run is above `times` the better of two guesses: any of seven classes, or the most frequent one."""

    accuracy: Accuracy
    times: float

    def __call__(self, measured: Measured) -> Decision:
        """The interval for one more run against the guesses."""
        group = measured.runs.of(self.accuracy.configuration)
        if group is None:
            return Decision(NOT_RUN)
        reached, majority = measured.one_more(self.accuracy), float(group.runs["majority"].mean())
        numbers = f"{reached}; 1/7 = {1 / 7:.4f}, majority class: {number(majority)}"
        return Within(above=self.times * max(1 / 7, majority)).decide(numbers, reached)

    @property
    def datasets(self) -> set[str]:
        """Of its accuracy."""
        return {self.accuracy.configuration.dataset}


class LargerImages(NamedTuple):
    """The gain of the largest size over `than` pixels, with the most layers: two hardly learn at 192 pixels."""

    than: int
    needed: Within

    def __call__(self, measured: Measured) -> Decision:
        """The gains of all sizes; the largest decides."""
        gain, shown = NOTHING, []
        for layers, sizes in resolutions(measured.runs).items():
            small = sizes.pop(self.than, None)
            if small is None:
                continue
            for size, group in sizes.items():
                samples = (one.configuration.validation() for one in (group, small))
                gain = measured.difference(*samples) if size > self.than else NOTHING
                shown.append(f"{layers} layers, {size} minus {self.than} pixels: {gain}")
        return self.needed.decide("; ".join(shown) or NOT_RUN, gain)

    @property
    def datasets(self) -> set[str]:
        """Set 3, which has larger images."""
        return {SET_3.dataset}


class LargestChange(NamedTuple):
    """The largest change by one param alone, up or down; it is small only if all were varied.

    It is large when one of the changes is, beyond what so many would do by chance (Bonferroni), and small when each is.
    """

    label: str
    estimate: Callable[..., Estimate]  # a method of Measured
    default: Accuracy
    variations: Mapping[str, Sequence[object]]  # param -> values besides the default's
    large: float
    shown: Callable[[Estimate], str] = str

    def __call__(self, measured: Measured) -> Decision:
        """Every change, and what follows from the largest."""
        changes = {
            f"{name.split('.')[-1]} {value}": self.estimate(measured, self._varied(name, value), self.default)
            for name, values in self.variations.items()
            for value in values
        }
        text = ", ".join(f"{name}: {self.shown(change)}" for name, change in changes.items())
        up, down = Within(above=self.large), Within(below=-self.large)
        sides = [[side.decide("", change) for side in (up, down)] for change in changes.values()]
        large = min(1.0, min(decision.holds for pair in sides for decision in pair) * len(changes))
        small = max(decision.fails for pair in sides for decision in pair)
        return Decision(f"{self.label}: {text}", large, small)

    def _varied(self, name: str, value: object) -> Accuracy:
        return self.default._replace(configuration=self.default.configuration._replace(varied={name: value}))

    @property
    def datasets(self) -> set[str]:
        """Of the default."""
        return {self.default.configuration.dataset}


class LeadOnTestFolder(NamedTuple):
    """One more run leads, in validation over training, when it validates on the test folder.

    It does not hold when such a run does not lead, and one does that validates on the train folder.
    """

    on_test: Configuration
    on_train: Configuration

    def __call__(self, measured: Measured) -> Decision:
        """Both leads."""
        test, train = (measured.one_more(Accuracy(on, LEAD)) for on in (self.on_test, self.on_train))
        fails = max(test.beyond(0, above=False), train.beyond(0, above=True))
        return Decision(f"on the test folder: {test}; on the train folder: {train}", test.beyond(0, above=True), fails)

    @property
    def datasets(self) -> set[str]:
        """Of the runs."""
        return {self.on_test.dataset, self.on_train.dataset}


class RisingCost(NamedTuple):
    """What a training costs rises with every layer, for each reading of what the report leaves open.

    Costs are no sample, so nothing is estimated: a reading or a kind of cost that disagrees leaves it open.
    """

    costs: Callable[[Runs], dict[str, dict[int, float]]]  # reading and kind of cost -> layers -> how much
    dataset: str

    def __call__(self, measured: Measured) -> Decision:
        """The costs side by side."""
        costs = {name: values for name, values in self.costs(measured.runs).items() if len(values) > 1}
        rising = [all(later > earlier for earlier, later in pairwise(values.values())) for values in costs.values()]
        shown = (
            f"{name}: {', '.join(f'{layers}: {value:.2f}' for layers, value in values.items())}"
            for name, values in costs.items()
        )
        holds, fails = bool(costs) and all(rising), bool(costs) and not any(rising)
        return Decision("; ".join(shown) or NOT_RUN, float(not holds), float(not fails))

    @property
    def datasets(self) -> set[str]:
        """Of the runs."""
        return {self.dataset}


class Claim(NamedTuple):
    """Parts that all have to hold: one that fails decides."""

    rule: str  # the parts in words
    parts: tuple[Part, ...]
    readings: bool = False  # the parts are ways to read the claim: it holds in all of them, or in none
    note: Callable[[Runs], str] | None = None  # numbers that decide nothing

    def decision(self, measured: Measured, stand_ins: frozenset[str]) -> Decision:
        """What the runs say to it; a part that speaks of one of the `stand_ins` stays open."""
        decisions = [part(measured) for part in self.parts]
        decisions = [
            decision._replace(holds=1.0, fails=1.0) if part.datasets & stand_ins else decision
            for part, decision in zip(self.parts, decisions, strict=True)
        ]
        texts = [decision.numbers for decision in decisions]
        if len(decisions) > 1:
            texts = [f"{decision.numbers}, {decision.verdict().split(' with ')[0]}" for decision in decisions]
        holds, fails = max(decision.holds for decision in decisions), [decision.fails for decision in decisions]
        fail = max(fails) if self.readings else min(1.0, min(fails) * len(fails))  # the least of several: Bonferroni
        margins = [decision.margin for decision in decisions if (decision.holds < decision.fails) == (holds < fail)]
        margin = (min if holds < fail or self.readings else max)(margins, default=math.nan)
        return Decision("; ".join([*texts, *([self.note(measured.runs)] if self.note else [])]), holds, fail, margin)

    @property
    def datasets(self) -> set[str]:
        """Those of which it speaks."""
        return set().union(*(part.datasets for part in self.parts))


class Finding(NamedTuple):
    """What a claim comes to."""

    decision: Decision
    value: float  # the p-value, adjusted
    changed: tuple[str, ...]  # the checks in which the verdict is another one

    @property
    def alone(self) -> str:
        """The verdict without the checks: HOLDS, FAILS or OPEN."""
        return self.decision.verdict(self.value)

    @property
    def verdict(self) -> str:
        """HOLDS, FAILS or OPEN."""
        return OPEN if self.changed else self.alone

    @property
    def changes(self) -> str:
        """What would change the verdict, in words."""
        if self.alone == OPEN:
            return "more runs" if self.value == 1 else f"more runs, perhaps: p = {self.value:.2g}"
        if self.changed:
            return f"more runs: it {self.alone} (p = {self.value:.2g}), but is open {', '.join(self.changed)}"
        if math.isnan(self.decision.margin):
            return "none of the checks"
        return f"none of the checks; an effect {self.decision.margin:.4f} nearer to the bound (p = {self.value:.2g})"


def checks(runs: Runs) -> dict[str, Conditions]:
    """Other ways to look at the same runs, in which a verdict has to be the same."""
    seeds = sorted({int(seed) for group in runs.groups.values() for seed in group.runs.index})
    return {
        **{f"with means of {window} epochs": Conditions(window=window) for window in WINDOWS},
        **{f"without seed {seed}": Conditions(without=seed) for seed in seeds},
        "with each configuration's own variance": Conditions(pooled=False),
    }


def findings(claims: Mapping[str, Claim], runs: Runs, stand_ins: frozenset[str] = frozenset()) -> dict[str, Finding]:
    """What each claim comes to.

    Args:
        stand_ins: datasets that count as not there.
    """
    measured = Measured(runs)
    decisions = {name: claim.decision(measured, stand_ins) for name, claim in claims.items()}
    adjusted = holm({name: decision.value for name, decision in decisions.items()})
    others = {check: Measured(runs, conditions) for check, conditions in checks(runs).items()}

    def changed(name: str, verdict: str) -> Iterator[str]:
        for check, other in others.items():
            if verdict != OPEN and claims[name].decision(other, stand_ins).verdict() != verdict:
                yield check

    return {
        name: Finding(decision, adjusted[name], tuple(changed(name, decision.verdict(adjusted[name]))))
        for name, decision in decisions.items()
    }
