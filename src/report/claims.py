"""The report's claims, each with the rule that decides it; the numbers come from the finished cells alone.

All differences are paired by seed and have a 95 % interval (Student's t). An interval that lies on one side of what a
claim needs decides it; one that does not, or a cell that is missing, leaves it open. Accuracies are validation
accuracy, mean of the last ten epochs, unless another curve or epoch is named: no best epoch is ever picked.
"""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import pandas as pd

from src.report.statistics import NOT_RUN, Interval, at, by_resolution, cells, last_ten, of_mean, of_next, paired

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be decided with this data"
VAL, TRAIN = "val_accuracy", "accuracy"
HUMAN = (
    0.65  # people's accuracy on FER-2013 is 65 ± 5 %: Goodfellow et al., "Challenges in representation learning", 2013
)


class Verdict(NamedTuple):
    claim: str
    rule: str
    numbers: str
    verdict: str


def side(interval: Interval, needed: float = 0.0) -> str:
    """Holds above `needed`, does not hold below it, open when the interval contains it or there is none."""
    if interval.n == 0 or interval.low <= needed <= interval.high:
        return OPEN
    return HOLDS if interval.low > needed else FAILS


def agrees(interval: Interval, low: float, high: float) -> str:
    """Holds when the interval reaches `low` to `high` and not 0, does not hold when it misses them, else open."""
    if interval.n < 2:
        return OPEN
    if interval.low > high or interval.high < low:
        return FAILS
    return OPEN if interval.low <= 0 else HOLDS


def all_of(claim: str, rule: str, *parts: tuple[str, object, str]) -> Verdict:
    """A claim of several parts, each (what, numbers, verdict): one that fails decides it, else one that is open."""
    found = [verdict for _, _, verdict in parts]
    short = {OPEN: "open"}
    numbers = "; ".join(f"{what}: {value}, {short.get(verdict, verdict)}" for what, value, verdict in parts)
    return Verdict(claim, rule, numbers, FAILS if FAILS in found else OPEN if OPEN in found else HOLDS)


def c1(rows: pd.DataFrame) -> Verdict:
    one, two, three = (last_ten(cells(rows, "ai", layers), VAL) for layers in (1, 2, 3))
    gain, share = paired(three, two), of_mean((three / one - 1).dropna())
    shown = _number(share.mean, "+.1%") + (f" ({share.low:.1%} to {share.high:.1%})" if share.n > 1 else "")
    return all_of(
        "C1",
        "three layers minus two is above 0, and the interval of the relative gain of three over one reaches 35 to 40 % "
        "and not 0",
        ("three minus two", gain, side(gain)),
        ("three over one", shown, agrees(share, 0.35, 0.40)),
    )


def c2(rows: pd.DataFrame) -> Verdict:
    gaps, shown = {}, []
    for layers, sizes in by_resolution(rows).items():
        small = last_ten(sizes.get(48, rows.head(0)), VAL)
        gaps = {size: paired(last_ten(found, VAL), small) for size, found in sizes.items() if size != 48}
        shown += [f"{layers} layers, {size} minus 48 pixels: {gap}" for size, gap in gaps.items()]
    largest = max(gaps, default=0)  # with the most layers: two leave a dense layer that hardly learns at 192 pixels
    return Verdict(
        "C2",
        "the same images at the largest size minus 48 pixels, with the most layers that ran (three do not fit 24 "
        "pixels): the interval contains 0.18 and not 0",
        "; ".join(shown) or NOT_RUN,
        agrees(gaps[largest], 0.18, 0.18) if largest > 48 else OPEN,
    )


def c3(rows: pd.DataFrame) -> Verdict:
    half, whole = cells(rows, "ai_half"), cells(rows, "ai")
    higher = paired(last_ten(half, TRAIN), last_ten(whole, TRAIN))
    lower = paired(last_ten(whole, VAL), last_ten(half, VAL))
    return all_of(
        "C3",
        "training accuracy of set 2 minus set 1 is above 0, and validation accuracy of set 1 minus set 2 too",
        ("training, set 2 minus set 1", higher, side(higher)),
        ("validation, set 1 minus set 2", lower, side(lower)),
    )


def c4(rows: pd.DataFrame) -> Verdict:
    third, first = cells(rows, "ai2", epochs=10), cells(rows, "ai")
    better = paired(at(third, VAL, 10), at(first, VAL, 10))
    gaps = [at(found, TRAIN, 10) - at(found, VAL, 10) for found in (first, third)]
    closer = paired(*gaps)
    return all_of(
        "C4",
        "at epoch 10 validation accuracy of set 3 minus set 1 is above 0, and so is the gap between training and "
        "validation of set 1 minus that of set 3",
        ("validation", better, side(better)),
        ("gap", closer, side(closer)),
    )


VARIATIONS = ("train.learning_rate", "batch_size", "model.dense_units", "augmentation.zoom")


def c5(rows: pd.DataFrame) -> Verdict:
    default = last_ten(cells(rows, "ai"), VAL)
    noise = of_next(default).half
    found, varied = {}, set()
    for row in rows[rows["dataset"] == "ai"].itertuples():
        for name in VARIATIONS:
            if list(json.loads(row.varied)) == [name] and row.seed in default.index:
                varied.add(name)
                value = pd.Series([row.val_accuracy[-10:]]).map(lambda values: sum(values) / len(values)).item()
                found[row.name.split("-conv3-")[-1]] = value - default[row.seed]
    largest = max((abs(value) for value in found.values()), default=float("nan"))
    if not found or noise == float("inf"):
        verdict = OPEN
    else:
        small = largest + noise < 0.05 and varied == set(VARIATIONS)  # one that did not run may be the largest
        verdict = HOLDS if largest - noise >= 0.05 else FAILS if small else OPEN
    shown = ", ".join(f"{name} {value:+.4f}" for name, value in found.items()) or NOT_RUN
    share = _number(largest / default.mean(), ".1%")  # the report may have meant this, the rule does not
    return Verdict(
        "C5",
        "the largest change of one hyperparameter at a time is at least 0.05 (five points), beyond what another seed "
        "would do",
        f"{shown}; largest, relative to the default: {share}; another seed, plus or minus: {_number(noise)}",
        verdict,
    )


def c6(rows: pd.DataFrame) -> Verdict:
    with_it, without = cells(rows, "ai"), cells(rows, "ai", model__dropout=0.0)
    gain = paired(last_ten(with_it, VAL), last_ten(without, VAL))
    cost = with_it["seconds_per_epoch"].mean() / without["seconds_per_epoch"].mean()
    return Verdict(
        "C6",
        "with dropout minus without is above 0; that its cost is low is not in question, it has no weights",
        f"with minus without: {gain}; time of an epoch, with over without: {_number(cost, '.2f')}",
        side(gain),
    )


def c7(rows: pd.DataFrame) -> Verdict:
    long = cells(rows, "ai", epochs=100)
    later = paired(last_ten(long, VAL, 100), last_ten(long, VAL, 50))
    grows = paired(last_ten(long, TRAIN, 100), last_ten(long, TRAIN, 50))
    return all_of(
        "C7",
        "epochs 91 to 100 minus 41 to 50: training accuracy is above 0, and validation accuracy gains less than 0.005",
        ("validation", later, side(Interval(0.005 - later.mean, later.half, later.n))),
        ("training", grows, side(grows)),
    )


def c8(rows: pd.DataFrame) -> Verdict:
    found = cells(rows, "ai")
    reached = of_next(last_ten(found, VAL))
    chance = max(1 / 7, found["majority"].mean()) if len(found) else float("nan")
    return Verdict(
        "C8",
        "the prediction interval for one more run is above twice the better of 1/k and the majority class",
        f"{reached}; 1/7 = 0.1429, majority class: {_number(found['majority'].mean())}",
        side(reached, 2 * chance) if reached.n > 1 else OPEN,
    )


def c9(rows: pd.DataFrame) -> Verdict:
    parts = {share: last_ten(cells(rows, "ai", split__train_share=share), VAL) for share in (0.125, 0.25, 0.5)}
    parts = {share: values for share, values in parts.items() if len(values)} | {1.0: last_ten(cells(rows, "ai"), VAL)}
    gain = paired(parts[1.0], parts[min(parts)]) if len(parts) > 1 else of_mean([])
    shown = ", ".join(f"{share:g}: {_number(values.mean())}" for share, values in parts.items())
    return Verdict(
        "C9",
        "all training images minus the smallest share of them is above 0 (quantity; quality was not varied)",
        f"by share {shown}; difference: {gain}",
        side(gain),
    )


def c10(rows: pd.DataFrame) -> Verdict:
    found = {layers: cells(rows, "ai", layers) for layers in (1, 2, 3, 4)}
    found = {layers: table for layers, table in found.items() if len(table)}
    costs = [int(table["operations"].iloc[0]) for table in found.values()]
    shown = ", ".join(
        f"{layers}: {table['operations'].iloc[0] / 1e6:.2f} M operations, {table['seconds_per_epoch'].mean():.1f} s"
        for layers, table in found.items()
    )
    rising = all(later > earlier for earlier, later in pairwise(costs))
    return Verdict(
        "C10",
        "operations per image rise with every layer",
        shown or NOT_RUN,
        OPEN if len(costs) < 2 else HOLDS if rising else FAILS,
    )


def c11(rows: pd.DataFrame) -> Verdict:
    half = cells(rows, "ai_half")
    reached = of_next(last_ten(half, VAL))
    highest = max((max(values) for values in half[VAL]), default=float("nan"))
    return Verdict(
        "C11",
        "the prediction interval for one more run is below 0.6",
        f"{reached}; highest single epoch: {_number(highest)}",
        side(Interval(0.6 - reached.mean, reached.half, reached.n)) if reached.n > 1 else OPEN,
    )


def c12(rows: pd.DataFrame) -> Verdict:
    reached = of_next(last_ten(cells(rows, "ai"), VAL))
    return Verdict(
        "C12",
        f"the prediction interval for one more run on set 1 is below {HUMAN}, what people reach on FER-2013",
        str(reached),
        side(Interval(HUMAN - reached.mean, reached.half, reached.n)) if reached.n > 1 else OPEN,
    )


def c13(rows: pd.DataFrame) -> Verdict:
    for epochs in (30, 10):
        listed, proper = (
            cells(rows, "ai2", epochs=epochs, split__policy="train_folder"),
            cells(rows, "ai2", epochs=epochs),
        )
        on_train, on_test = (last_ten(found, VAL) - last_ten(found, TRAIN) for found in (listed, proper))
        if known := len(on_train) > 0 and len(on_test) > 1:
            break
    fits = known and on_train.min() > 0 > on_test.max()
    return Verdict(
        "C13",
        "validation minus training accuracy, +0.0746 in the report, in runs of 30 epochs or, without them, of 10: "
        "holds when it is above 0 in every run that validates on the test folder; does not hold when it is below 0 in "
        "all of these and above 0 in every run that validates on the train folder",
        f"on the train folder {_list(on_train)}; on the test folder {_list(on_test)}",
        FAILS if fits else HOLDS if known and on_test.min() > 0 else OPEN,
    )


def _list(values: pd.Series) -> str:
    return ", ".join(f"{value:+.4f}" for value in values) or NOT_RUN


def _number(value: float, form: str = ".4f") -> str:
    """`value`, which is infinite or none where too few cells ran."""
    return format(value, form) if math.isfinite(value) else NOT_RUN


CLAIMS: tuple[Callable[[pd.DataFrame], Verdict], ...] = (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13)


def verdicts(rows: pd.DataFrame) -> list[Verdict]:
    """A verdict per claim, in the order of published.yaml."""
    return [claim(rows) for claim in CLAIMS]
