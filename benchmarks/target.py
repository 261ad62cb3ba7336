"""Seconds of training until validation accuracy first reaches 0.60: the report's pipeline with its constant rate, and
this repository with a one-cycle schedule of ten epochs."""

from pathlib import Path

import pandas as pd

from benchmarks.epoch import folder_for
from benchmarks.sides import Side
from benchmarks.tables import compared

TARGET, LIMIT, SEEDS = 0.60, 100, (1, 2, 3)
SCHEDULE = {"epochs": 10, "train.schedule": "one_cycle", "train.learning_rate": 0.002}


def measure(folder: Path) -> pd.DataFrame:
    seconds: dict[str, list[float]] = {
        "the report's pipeline": [],
        "this repository, one cycle of 10 epochs at 0.002": [],
    }
    epochs: dict[str, list[str]] = {name: [] for name in seconds}
    for seed in SEEDS:
        prepared = folder_for(folder.with_name(f"seed{seed}"), seed=seed, **SCHEDULE)
        for name, kind, limit in zip(seconds, ("report", "ours"), (LIMIT, SCHEDULE["epochs"]), strict=True):
            taken, number = _until(Side(prepared, kind), limit)
            seconds[name].append(taken)
            epochs[name].append(number)
    table = compared(seconds, f"seconds until {TARGET:.2f}")
    return table.assign(epochs=[", ".join(numbers) for numbers in epochs.values()])


def _until(side: Side, limit: int) -> tuple[float, str]:
    """Seconds and epochs until the target; where it is not reached in `limit` epochs, those and "> limit"."""
    taken = 0.0
    for epoch in range(1, limit + 1):
        answer = side.turn()
        taken += answer["seconds"]
        if answer["val_accuracy"] >= TARGET:
            side.close()
            return taken, str(epoch)
    side.close()
    return taken, f"> {limit}"
