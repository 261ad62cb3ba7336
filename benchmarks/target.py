"""Seconds until validation accuracy first reaches 0.60, and accuracy after as many epochs, three seeds: the report's
pipeline, this repository as it is, and with one-cycle schedules of twelve and eight epochs. The sides take turns, an
epoch each. Eight are too few to overfit, so that side goes without dropout and with half the zoom.
"""

import math
from pathlib import Path
from statistics import mean, median

import pandas as pd

from benchmarks.epoch import beside, folder_for
from benchmarks.sides import Side

TARGET, LIMIT, SEEDS = 0.60, 100, (1, 2, 3)
LAST = 5  # epochs: single ones swing by two points and more
ONE_CYCLE = {"epochs": 12, "train.schedule": "one_cycle", "train.learning_rate": 0.004}
SHORT_CYCLE = ONE_CYCLE | {"epochs": 8, "train.learning_rate": 0.003, "model.dropout": 0.0, "augmentation.zoom": 0.1}
SIDES = {  # what -> kind of side, changed params
    "the report's pipeline, waits of tf.data's autotuning left out": ("report", {}),
    "this repository": ("ours", {"epochs": LIMIT}),
    "this repository, one cycle of 12 epochs up to 0.004": ("ours", ONE_CYCLE),
    "this repository, one cycle of 8 epochs up to 0.003, no dropout, zoom up to 10 %": ("ours", SHORT_CYCLE),
}


def measure(folder: Path) -> pd.DataFrame:
    runs: dict[str, list[list[dict[str, float]]]] = {what: [] for what in SIDES}  # of each seed, its epochs
    folder_for(folder)
    for seed in SEEDS:
        for what, epochs in _taking_turns(folder, seed).items():
            runs[what].append(epochs)
    return pd.DataFrame(_row(what, seeds, next(iter(runs.values()))) for what, seeds in runs.items())


def _taking_turns(folder: Path, seed: int) -> dict[str, list[dict[str, float]]]:
    """Each cycle to its end; the first two sides until both have reached the target, or to the LIMIT."""
    sides = {
        what: Side(beside(folder, f"{number}-{seed}", seed=seed, **changes), kind)
        for number, (what, (kind, changes)) in enumerate(SIDES.items())
    }
    epochs: dict[str, list[dict[str, float]]] = {what: [] for what in SIDES}
    constant = list(SIDES)[:2]
    for number in range(LIMIT):
        if number >= ONE_CYCLE["epochs"] and all(_reached(epochs[what]) for what in constant):
            break
        for what, side in sides.items():
            if number < SIDES[what][1].get("epochs", LIMIT):
                epochs[what].append(side.turn())
        sides[constant[0]].end()  # what it waited for has passed while the others had their turns
    for side in sides.values():
        side.close()
    return epochs


def _reached(epochs: list[dict[str, float]]) -> int:
    """The first epoch that reaches the target; 0 when none does."""
    return next((n for n, epoch in enumerate(epochs, 1) if epoch["val_accuracy"] >= TARGET), 0)


def _row(what: str, seeds: list[list[dict[str, float]]], first: list[list[dict[str, float]]]) -> dict[str, object]:
    def seconds(epochs: list[dict[str, float]]) -> float:
        return sum(epoch["seconds"] for epoch in epochs[: _reached(epochs) or None])

    def until(seeds: list[list[dict[str, float]]]) -> float:
        # The first side has had its LIMIT, a lower bound; another one that ends before the target never gets there.
        return median(seconds(epochs) if _reached(epochs) or seeds is first else math.inf for epochs in seeds)

    accuracy = [mean(epoch["val_accuracy"] for epoch in epochs[-LAST:]) for epochs in seeds]
    numbers = [str(_reached(epochs) or f"> {len(epochs)}") for epochs in seeds]
    return {
        "": what,
        "seconds an epoch": f"{median(epoch['seconds'] for epochs in seeds for epoch in epochs[1:]):.2f}",
        f"epochs until {TARGET:.2f}": ", ".join(numbers),
        "seconds until then": ", ".join(f"{'' if _reached(epochs) else '> '}{seconds(epochs):.0f}" for epochs in seeds),
        "times sooner": f"{until(first) / until(seeds):.2f}",
        f"accuracy, mean of the last {LAST} epochs": ", ".join(f"{value:.3f}" for value in accuracy),
        "epochs in all": ", ".join(str(len(epochs)) for epochs in seeds),
    }
