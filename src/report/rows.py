"""The rows of cells.csv: taken from the experiments of finished cells, which DVC keeps as refs of git."""

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from src import environment, identity, params, plain_yaml, revisions
from src.core.files import MODEL, write_csv
from src.params import Params
from src.report.grid import COLUMNS, CURVES, Cell, Grid, digest, listed, stored
from src.revisions import all_experiments, call, outputs

Row = dict[str, Any]  # of cells.csv, by its columns
FILES = (
    "params.yaml",
    "dvc.lock",
    *(f"metrics/{name}" for name in ("history.csv", "train.json", "eval.json", "scores.json", "audit.json")),
)


def collect(
    repository: Path, program: str, cells: list[Cell], others: set[str], done: Callable[[list[Row]], None]
) -> list[Cell]:
    """Gives those that are done to `done`, and returns the others.

    Args:
        others: commits of other params or programs, which are not read again; more are added.
    """
    commits, rows = all_experiments(repository), {}
    for cell in cells:
        for commit in commits.get(cell.name, []):
            if commit in others:
                continue
            if row := read(repository, program, cell, commit):
                rows[cell.name] = row
                break
            others.add(commit)
    if rows:
        done(list(rows.values()))
    return [cell for cell in cells if cell.name not in rows]


def write(grid: Grid, rows: list[Row]) -> None:
    """Writes the rows of finished cells into cells.csv, in place of older ones; all at once, since it may be long."""
    before = stored(grid.csv)
    kept = before[~before["name"].isin([row["name"] for row in rows])]
    write_csv(grid.csv, pd.DataFrame([*kept.to_dict("records"), *rows], columns=COLUMNS).sort_values("name"))


def read(repository: Path, program: str, cell: Cell, commit: str) -> Row | None:
    """The row of a cell from the experiment of that commit; None if it has other params, or another program ran it."""
    texts = revisions.texts(repository, commit, FILES)
    lock = plain_yaml.parse(texts["dvc.lock"], f"{cell.name}:dvc.lock")
    trained = identity.recorded(lock["stages"]["train"])
    if trained.program != program:
        return None
    if digest(params_of(texts["params.yaml"], cell.name)) != cell.digest:
        return None
    noted = environment.of_training(trained.key)
    names = ("train", "eval", "scores", "audit")
    train, evaluated, scores, audit = (json.loads(texts[f"metrics/{name}.json"]) for name in names)
    history = pd.read_csv(io.StringIO(texts["metrics/history.csv"]))
    return {
        "name": cell.name,
        "params": cell.digest,
        "program": program,
        "identity": trained.key[:16],
        "model": outputs(lock)[MODEL.as_posix()],
        "dataset": cell.params.dataset,
        "conv_layers": cell.params.conv_layers,
        "seed": cell.params.seed,
        "epochs": cell.params.epochs,
        "input_size": cell.params.data.input_size,
        "dense_units": listed(cell.params.model.dense_units),
        "dropout_at": listed(cell.params.model.dropout_at),
        "varied": json.dumps(cell.varied),
        "train_images": sum(audit["images"]["train"].values()),
        "scored_images": evaluated["images"],
        "majority": evaluated["majority_baseline"],
        "parameters": train["parameters"],
        "operations": train["operations"],
        "seconds_per_epoch": noted.get(environment.SECONDS),
        "score": scores["accuracy"],
        "crowd_score": scores.get("crowd_accuracy"),
        "commit": call("git", "rev-parse", f"{commit}^", cwd=repository).strip()[:10],
        "environment": environment.described(noted),
        **{curve: curve_text(history[curve]) for curve in CURVES},
    }


def params_of(text: str, name: str) -> Params:
    """The params that an experiment of that name ran with, from the text of its params.yaml."""
    place = Path(f"{name}:params.yaml")
    return params.check(plain_yaml.parse(text, place), place)


def curve_text(curve: Iterable[float]) -> str:
    """As cells.csv holds it."""
    return " ".join(f"{value:.5f}" for value in curve)
