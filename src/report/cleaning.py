"""What cleaning the data is worth: each way to do it beside the same images as they are, by both yardsticks."""

import pandas as pd
from scipy import stats

from src.report import markdown
from src.report.selection import CLEANED, Runs
from src.report.statistics import LEVEL

TEXT = """## What cleaning is worth

Trained on images that were cleaned in one way or another, scored on held-out ones (`split.policy=clean`) after the \
last epoch: agreement with the label of the folder, and with what more than half of the crowd sees. Beside each mean \
over the seeds its difference to the images as they are, with the same seeds (95 %, Student's t of the differences). \
Images that are scored keep their labels, and none of them is left out.

{table}"""
YARDSTICKS = {"score": "label of the folder", "crowd_score": "crowd"}


def section(runs: Runs) -> str:
    """Of the page; empty where only one way ran."""
    table = worth(runs)
    return TEXT.format(table=markdown.table(table)) if len(table) > 1 else ""


def worth(runs: Runs) -> pd.DataFrame:
    """One row per way that ran: how many images were trained on, and by each yardstick mean and difference, as text."""
    base = runs.of(CLEANED["as they are"])
    table = []
    for name, configuration in CLEANED.items():
        group = runs.of(configuration)
        if group is None or base is None:
            continue
        row = {"images": name, "trained on": f"{group.runs['train_images'].mean():,.0f}", "seeds": len(group.runs)}
        for column, yardstick in YARDSTICKS.items():
            row[yardstick] = f"{group.runs[column].mean():.4f}"
            row[f"{yardstick}, difference"] = "" if group is base else _paired(group.runs[column] - base.runs[column])
        table.append(row)
    return pd.DataFrame(table)


def _paired(differences: pd.Series) -> str:
    """Of the seeds that both have."""
    differences = differences.dropna()
    if differences.empty:
        return ""
    half = stats.sem(differences) * stats.t.ppf((1 + LEVEL) / 2, len(differences) - 1) if len(differences) > 1 else None
    return f"{differences.mean():+.4f}" + (f" ± {half:.4f}" if half is not None else "")
