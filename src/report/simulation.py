"""How often the rules are right: the whole chain from rows to verdicts, on made-up grids whose truth is known.

A world says what many runs of each configuration would reach. Its grids are that and noise: each has the cells and
seeds of the real one. `simulation.csv` counts the verdicts.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from src import params, progress
from src.core.files import write_csv
from src.report import markdown
from src.report.claims import CLAIMS, NO_DROPOUT, SHARES, TRAIN_FOLDER
from src.report.grid import CURVES, Cell, Grid
from src.report.rules import FAILS, HOLDS, OPEN, findings
from src.report.selection import CLEANED, INPUT_SIZE, SET_1, SET_1_END, SET_2, SET_3, Configuration, Runs

NAME = "simulation.csv"
EDGE = "at the bound"
# Standard deviations, of a run and of an epoch of it, of training and of validation accuracy, as in runs on FER-2013.
OF_RUNS, OF_EPOCHS = (0.004, 0.005), (0.003, 0.012)
TEXT = """## How often the rules are right

{grids} made-up grids of these cells and seeds in each of {worlds} worlds, from accuracies to verdicts: how often each \
rule said what, where its claim is true, false, or just at the bound, where neither verdict is right \
(`python -m src.report {folder} --simulate`). C10 compares costs, which have no noise.

{table}"""


class World(NamedTuple):
    """What many runs would reach, and what is then true."""

    effects: Mapping[str, float]  # those that differ from EFFECTS
    truth: Mapping[str, str]  # claim -> HOLDS, FAILS or EDGE; the others are not counted


EFFECTS = {  # differences in validation accuracy, if nothing else is said
    "set 1": 0.60,
    "training of set 1": 0.73,
    "set 2 minus set 1": -0.05,
    "training, set 2 minus set 1": 0.05,
    "set 3 minus set 1": 0.17,
    "lead of set 3": 0.07,  # validation minus training
    "lead on the train folder": 0.10,
    "one layer minus three": -0.164,
    "two layers minus three": -0.06,
    "largest size minus 48 pixels": 0.18,
    "without dropout minus with": -0.02,
    "largest change": -0.09,
    "epoch 100 minus 50": 0.0,
    "training, epoch 100 minus 50": 0.055,
    "half of the images minus all": -0.05,
    "cleaned minus as they are": 0.03,
}
WORLDS = (
    World({}, dict.fromkeys((name for name in CLAIMS if name != "C10"), HOLDS)),
    World(
        {
            "set 1": 0.70,
            "training of set 1": 0.80,
            "set 2 minus set 1": 0.0,
            "training, set 2 minus set 1": -0.05,
            "set 3 minus set 1": -0.15,
            "lead of set 3": -0.20,
            "one layer minus three": -0.085,
            "two layers minus three": 0.0,
            "largest size minus 48 pixels": 0.0,
            "without dropout minus with": 0.02,
            "largest change": -0.01,
            "epoch 100 minus 50": 0.015,
            "half of the images minus all": 0.0,
            "cleaned minus as they are": 0.0,
        },
        dict.fromkeys((name for name in CLAIMS if name not in ("C8", "C10")), FAILS),
    ),
    World({"set 1": 0.40, "set 2 minus set 1": 0.0}, {"C8": FAILS}),
    World(
        {
            "set 1": 0.65,
            "set 2 minus set 1": -0.05,
            "set 3 minus set 1": 0.0,
            "lead of set 3": 0.0,
            "one layer minus three": 0.65 / 1.3 - 0.65,
            "largest size minus 48 pixels": 0.13,
            "without dropout minus with": 0.0,
            "largest change": -0.05,
            "epoch 100 minus 50": 0.005,
            "half of the images minus all": -0.01,
            "cleaned minus as they are": 0.01,
        },
        dict.fromkeys(("C1", "C2", "C4", "C6", "C7", "C9", "C11", "C12", "C13"), EDGE),
    ),
    World({"set 2 minus set 1": 0.0, "largest change": -0.03, "set 1": 2 * 0.25}, {"C3": EDGE, "C5": EDGE, "C8": EDGE}),
)


def ends(configuration: Configuration, effects: Mapping[str, float]) -> tuple[float, float]:
    """Training and validation accuracy at epoch 50, or at the last one of shorter runs."""
    dataset, layers, varied = configuration
    validation, training = effects["set 1"], effects["training of set 1"]
    if dataset == SET_2.dataset:
        validation += effects["set 2 minus set 1"]
        training += effects["training, set 2 minus set 1"]
    if dataset == SET_3.dataset:
        validation += effects["set 3 minus set 1"]
        training = validation - effects["lead of set 3"]
        if varied.get(INPUT_SIZE) == 48:
            validation -= effects["largest size minus 48 pixels"]
        if varied == TRAIN_FOLDER.varied:
            validation = training + effects["lead on the train folder"]
    validation += {1: effects["one layer minus three"], 2: effects["two layers minus three"]}.get(layers, 0)
    if configuration == NO_DROPOUT:
        validation += effects["without dropout minus with"]
    if configuration == Configuration(SET_1.dataset, varied={"train.learning_rate": 0.003}):
        validation += effects["largest change"]
    if configuration == SHARES[0.5]:
        validation += effects["half of the images minus all"]
    if configuration == CLEANED["these three, by segmentation"]:
        validation += effects["cleaned minus as they are"]
    return training, validation


def rows(grid: Grid, world: World, random: np.random.Generator, noise: float = 1) -> pd.DataFrame:
    """As `Grid.rows`, made up; with so many times the usual noise."""
    effects = EFFECTS | dict(world.effects)
    return pd.DataFrame(_row(cell, effects, random, noise) for cell in grid.cells if not cell.timed)


def _row(cell: Cell, effects: Mapping[str, float], random: np.random.Generator, noise: float) -> dict[str, object]:
    varied = {name: value for name, value in cell.varied.items() if name != "epochs"}
    configuration = Configuration(cell.params.dataset, cell.params.conv_layers, varied)
    later = effects["training, epoch 100 minus 50"], effects["epoch 100 minus 50"]
    epochs = np.arange(1, cell.params.epochs + 1)
    curves = []
    for end, gain, of_run, of_epoch in zip(ends(configuration, effects), later, OF_RUNS, OF_EPOCHS, strict=True):
        rises = np.exp(-epochs / min(8, cell.params.epochs / 6))
        curve = end - 0.2 * rises + gain * np.clip((epochs - SET_1_END) / 40, 0, 1)
        curves.append(curve + noise * (random.normal(0, of_run) + random.normal(0, of_epoch, len(epochs))))
    return {
        "name": cell.name,
        "dataset": cell.params.dataset,
        "conv_layers": cell.params.conv_layers,
        "seed": cell.params.seed,
        "epochs": cell.params.epochs,
        "input_size": cell.params.data.input_size,
        "varied": json.dumps(cell.varied),
        "majority": 0.25,
        "timed": False,
        **dict(zip(CURVES, curves, strict=True)),
    }


def simulate(grid: Grid, grids: int) -> None:
    """Writes simulation.csv beside grid.yaml: so many grids in each of WORLDS, drawn from the seed in params.yaml."""
    counts: Counter[tuple[str, str, str]] = Counter()
    streams = np.random.SeedSequence(params.load().seed).spawn(len(WORLDS) * grids)
    for number, stream in enumerate(progress.bar(streams, unit="grid")):
        world = WORLDS[number % len(WORLDS)]
        made = Runs(rows(grid, world, np.random.default_rng(stream)))
        for name, finding in findings(CLAIMS, made).items():
            if name in world.truth:
                counts[name, world.truth[name], finding.verdict] += 1
    table = [
        {
            "claim": name,
            "truth": truth,
            "grids": grids,
            **{word: counts[name, truth, word] for word in (HOLDS, FAILS, OPEN)},
        }
        for name in CLAIMS
        for truth in (HOLDS, FAILS, EDGE)
        if any((name, truth) == key[:2] for key in counts)
    ]
    write_csv(grid.folder / NAME, pd.DataFrame(table))


def section(folder: Path) -> str:
    """Of the page; empty where nothing was simulated."""
    path = folder / NAME
    if not path.exists():
        return ""
    counts = pd.read_csv(path)
    table = pd.DataFrame({"claim": counts["claim"].unique()}).set_index("claim")
    for truth, header in {HOLDS: "it is true", FAILS: "it is false", EDGE: "at the bound"}.items():
        of = counts[counts["truth"] == truth].set_index("claim")
        shares = [(of[word] / of["grids"]).map("{:.0%}".format) for word in (HOLDS, FAILS, OPEN)]
        table[f"{header}: holds / does not hold / open"] = shares[0] + " / " + shares[1] + " / " + shares[2]
    return TEXT.format(
        grids=counts["grids"].iloc[0],
        worlds=len(WORLDS),
        folder=folder.as_posix(),
        table=markdown.table(table.fillna("").reset_index()),
    )
