"""What the report does not publish, fitted: its hidden dense layers, how wide they are, and where its dropout sits.

The rule, which was written down before the runs that it judges:

1. A reading is a list of widths and a place of the dropout; all else is in the report's listing. Of each that is tried
   one run of 50 epochs on set 1, seed 1. Its distance to the report's curve is the root mean square by which its
   training accuracy misses the published one at epochs 36, 43 and 50. Training decides, as validation swings.
2. The three nearest run for 100 epochs with three seeds. Of these the nearest becomes the default: by the training
   accuracies of all six published epochs, the mean over the seeds. If the next one is not further away than half the
   standard deviation of a run, the one with fewer weights.
3. Validation must agree: the six published validation accuracies together are not further from those of the default
   than those of one more run would be (95 %). If they are, the next reading is taken.
4. The same reading must then answer for set 1's other run and for set 2. What it misses there is said, in standard
   deviations of a run.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from src.report import markdown, published
from src.report.selection import SET_1, SET_1_END, SET_2, TRAINING, VALIDATION, Accuracy, Configuration, Group, Runs
from src.report.statistics import number

FITTED = {"model.dense_units", "model.dropout_at"}
TEXT = """## What the report leaves open

It publishes neither its hidden dense layers and their width nor the place of its dropout. Each reading that ran on \
set 1, against the published runs: the root mean square by which training accuracy misses the points. Nearest to the \
curve up to epoch 50: {nearest}. From epoch {first} to 50 the published curve rises by {rise:.4f}, these by \
{lowest:.4f} to {highest:.4f}.

{table}"""


def section(runs: Runs) -> str:
    """Of the page; empty when fewer than two readings ran."""
    table = readings(runs, published.RUNS)
    if len(table) < 2:
        return ""
    nearest, points = table.iloc[0], published.RUNS["curve"]
    first = min(points)
    numbers = table.columns.drop(["dense units", "dropout at", "seeds"])
    return TEXT.format(
        nearest=f"{nearest['dense units']} units, dropout at {nearest['dropout at']}",
        first=first,
        rise=points[SET_1_END][0] - points[first][0],
        lowest=table[f"rise since {first}"].min(),
        highest=table[f"rise since {first}"].max(),
        table=markdown.table(table.assign(**{name: table[name].map(number) for name in numbers})),
    )


def readings(runs: Runs, publish: Mapping[str, published.Points]) -> pd.DataFrame:
    """One row per reading that ran on set 1, the nearest to the curve up to epoch 50 first.

    Args:
        publish: the published runs, as in published.yaml: `curve`, `set 1` and `set 2`.

    Returns:
        Columns dense units, dropout at, seeds; training and validation at epoch 50, the latter the mean of the ten
        epochs that end there; the rise of training accuracy since the first published epoch; off the curve up to epoch
        50, off all of it, off set 1 and off set 2, each the root mean square by which training accuracy, the mean over
        seeds, misses the points; and the p-value of the curve's validation accuracies. NaN for what did not run.
    """
    first = min(publish["curve"])
    early = {epoch: pair for epoch, pair in publish["curve"].items() if epoch <= SET_1_END}
    table = []
    for group in runs.groups.values():
        (dataset, layers, varied), end = group.configuration, group.epochs
        if (dataset, layers) != SET_1[:2] or not set(varied) <= FITTED or end < SET_1_END:
            continue
        validation = {epoch: pair[1] for epoch, pair in publish["curve"].items()}
        table.append(
            {
                "dense units": group.runs["dense_units"].iloc[0],
                "dropout at": group.runs["dropout_at"].iloc[0],
                "seeds": len(group.runs),
                "training, epoch 50": _training(group, SET_1_END),
                "validation, last ten": group.values(group.configuration.validation(SET_1_END)).mean(),
                f"rise since {first}": _training(group, SET_1_END) - _training(group, first),
                "off the curve": _off(group, early),
                "off all of it": _off(group, publish["curve"]),
                "off set 1": _off(group, publish["set 1"]),
                "off set 2": _off(runs.of(Configuration(SET_2.dataset, varied=varied)), publish["set 2"]),
                "validation, p": published.joint(runs, group.configuration, VALIDATION, validation),
            }
        )
    return pd.DataFrame(table).sort_values("off the curve", ignore_index=True) if table else pd.DataFrame()


def _training(group: Group, epoch: int) -> float:
    return float(group.values(Accuracy(group.configuration, TRAINING, epoch), 1).mean())


def _off(group: Group | None, points: published.Points) -> float:
    if group is None or group.epochs < max(points):
        return float("nan")
    misses = [_training(group, epoch) - accuracy for epoch, (accuracy, _) in points.items()]
    return float(np.sqrt(np.mean(np.square(misses))))
