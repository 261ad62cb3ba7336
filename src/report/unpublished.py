"""What the report does not publish, fitted: how wide its dense layer is, and where its dropout sits."""

import json

import numpy as np
import pandas as pd

from src.report import markdown, published
from src.report.selection import SET_1, TRAINING, VALIDATION, mean_accuracy

FITTED = {"model.dense_units", "model.dropout_at"}
TEXT = """## What the report leaves open

It publishes neither the width of its dense layer nor the place of its dropout. Each reading that ran on set 1, \
against both published runs: root mean square by which training accuracy misses the points up to epoch 50. Nearest to \
{nearest}. From epoch {first} to 50 the published curve rises by {rise:.4f}, these by {lowest:.4f} to {highest:.4f}.

{table}"""


def first_epoch(runs: dict[str, dict[int, list[float]]]) -> int:
    """The first of which anything is published."""
    return min(min(points) for points in runs.values())


def section(rows: pd.DataFrame) -> str:
    """Of the page; empty when fewer than two readings ran."""
    runs = {name: published.RUNS[name] for name in ("curve", "set 1")}
    table = readings(rows, runs)
    if len(table) < 2:
        return ""
    best = {name: table.iloc[table[name].argmin()] for name in runs}
    first = first_epoch(runs)
    numbers = {name: table[name].map("{:.4f}".format) for name in ("training", "validation", "rise", *runs)}
    headers = {"training": "training, epoch 50", "validation": "validation, last ten", "rise": f"rise since {first}"}
    headers |= {name: f"off {name}" for name in runs}
    return TEXT.format(
        nearest="; ".join(
            f"{name}: {row.dense_units} units, dropout at {row.dropout_at}" for name, row in best.items()
        ),
        first=first,
        rise=runs["curve"][50][0] - runs["curve"][first][0],
        lowest=table["rise"].min(),
        highest=table["rise"].max(),
        table=markdown.table(table.assign(**numbers).rename(columns=headers)),
    )


def readings(rows: pd.DataFrame, runs: dict[str, dict[int, list[float]]]) -> pd.DataFrame:
    """One row per width and place of dropout that ran on set 1, the nearest to the first of `runs` first.

    Args:
        rows: finished cells, as `Grid.rows` gives them.
        runs: name -> {epoch: [accuracy, validation accuracy]}, as in published.yaml.

    Returns:
        Columns dense_units, dropout_at, seeds, training and validation (at epoch 50; validation is the mean of the
        ten epochs that end there), rise (of training accuracy from the first published epoch to the 50th), and per
        run the root mean square by which training accuracy, the mean over seeds, misses its points up to epoch 50.
        Training accuracy decides: it separates widths, and validation swings.
    """
    same = (rows["dataset"] == SET_1.dataset) & (rows["conv_layers"] == SET_1.conv_layers) & (rows["epochs"] >= 50)
    only = np.array([set(json.loads(text)) <= FITTED | {"epochs"} for text in rows["varied"]], bool)
    table = []
    for (units, place), group in rows[same & only].groupby(["dense_units", "dropout_at"]):
        # The default also ran for 100 epochs; up to epoch 50 that is the same run again.
        table.append({"dense_units": units, "dropout_at": place} | _reading(group.drop_duplicates("seed"), runs))
    columns = ["dense_units", "dropout_at", "seeds", "training", "validation", "rise", *runs]
    return pd.DataFrame(table, columns=columns).sort_values(list(runs), ignore_index=True)


def _reading(group: pd.DataFrame, runs: dict[str, dict[int, list[float]]]) -> dict[str, float]:
    def training(epoch: int) -> float:
        return mean_accuracy(group, TRAINING, epoch, 1).mean()

    def miss(points: dict[int, list[float]]) -> float:
        differences = [training(epoch) - accuracy for epoch, (accuracy, _) in points.items() if epoch <= 50]
        return float(np.sqrt(np.mean(np.square(differences))))

    return {
        "seeds": len(group),
        "training": training(50),
        "validation": mean_accuracy(group, VALIDATION, 50).mean(),
        "rise": training(50) - training(first_epoch(runs)),
        **{name: miss(points) for name, points in runs.items()},
    }
