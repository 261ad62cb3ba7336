"""What the report does not publish, fitted: how wide its dense layer is, and where its dropout sits."""

import json

import numpy as np
import pandas as pd

from src.report.statistics import at, last_ten

VARIED = {"model.dense_units", "model.dropout_at", "epochs"}


def first_epoch(runs: dict[str, dict]) -> int:
    """The first of which anything is published."""
    return min(epoch for run in runs.values() for epoch in run["points"])


def readings(rows: pd.DataFrame, runs: dict[str, dict]) -> pd.DataFrame:
    """One row per width and place of dropout that ran on set 1, the nearest to the first of `runs` first.

    Args:
        rows: finished cells, as `Grid.rows` gives them.
        runs: name -> {"points": {epoch: [accuracy, validation accuracy]}}, as in published.yaml.

    Returns:
        Columns dense_units, dropout_at, seeds, training and validation (at epoch 50; validation is the mean of the
        ten epochs that end there), rise (of training accuracy from the first published epoch to the 50th), and per
        run the root mean square by which training accuracy, the mean over seeds, misses its points up to epoch 50.
        Training accuracy decides: it separates widths, and validation swings.
    """
    chosen = rows[(rows["dataset"] == "ai") & (rows["conv_layers"] == 3) & (rows["epochs"] >= 50)]
    chosen = chosen[np.array([set(json.loads(text)) <= VARIED for text in chosen["varied"]], bool)]
    first = first_epoch(runs)
    table = []
    for (units, place), found in chosen.groupby(["dense_units", "dropout_at"]):
        # The default also ran for 100 epochs; up to epoch 50 that is the same run again.
        found = found.drop_duplicates("seed").set_index("seed")
        misses = {}
        for name, run in runs.items():
            points = {epoch: accuracy for epoch, (accuracy, _) in run["points"].items() if epoch <= 50}
            differences = [at(found, "accuracy", epoch).mean() - accuracy for epoch, accuracy in points.items()]
            misses[name] = float(np.sqrt(np.mean(np.square(differences))))
        table.append(
            {
                "dense_units": units,
                "dropout_at": place,
                "seeds": len(found),
                "training": at(found, "accuracy", 50).mean(),
                "validation": last_ten(found, "val_accuracy", 50).mean(),
                "rise": (at(found, "accuracy", 50) - at(found, "accuracy", first)).mean(),
                **misses,
            }
        )
    columns = ["dense_units", "dropout_at", "seeds", "training", "validation", "rise", *runs]
    return pd.DataFrame(table, columns=columns).sort_values(list(runs), ignore_index=True)
