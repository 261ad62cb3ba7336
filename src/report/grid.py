"""The grid of a report: which experiments it needs, and which of them are done.

A report is a folder with a `grid.yaml`. Its `cells.csv` has a row for each finished cell, and the row is what makes
a cell finished: it holds the cell's curves, a hash of every param it ran with, and the program that trained it.
"""

import hashlib
import json
import math
import re
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from src import params, plain_yaml
from src.core.files import root
from src.errors import UserError
from src.params import Params, Section
from src.report.programs import Programs

CURVES = ("accuracy", "val_accuracy")  # cells.csv keeps them as numbers with spaces between, one per epoch
COLUMNS = [
    *("name", "params", "program", "identity", "model"),
    *("dataset", "conv_layers", "seed", "epochs", "input_size", "dense_units", "dropout_at"),
    *("varied", "train_images", "scored_images", "majority", "parameters", "operations", "seconds_per_epoch"),
    *("score", "crowd_score", "commit", "environment", *CURVES),
]
NAMED = ("dataset", "conv_layers", "seed")  # every cell's name has them
PLACE = ("source", "local_path")  # where the data lie is no property of an experiment, unless an entry lists several
MOST_CELLS = 10_000  # a few lists too many in one entry would make millions


class Cell(NamedTuple):
    """One experiment of the grid."""

    name: str  # of the DVC experiment
    varied: dict[str, object]  # what sets it apart, besides dataset, layers and seed
    changes: dict[str, object]  # all that it changes in params.yaml
    params: Params  # all that it then has
    timed: bool  # it runs alone

    @property
    def digest(self) -> str:
        """Of all params; a cell whose params are others by now is not finished."""
        return digest(self.params)


def digest(params: Params) -> str:
    """Of an experiment's params, 16 hex digits. Where its data lie is not part of it, nor are datasets that are not
    used, nor a param that came later and has the value it had before it came."""
    values: dict[str, Any] = params.model_dump(mode="json", exclude_defaults=True) | {"local_path": None}
    if "votes_path" in values:
        values["votes_path"] = None
    values["datasets"] = {name: values["datasets"][name] for name in (params.dataset, params.whole)}
    values["kaggle"] = params.kaggle.get(params.whole) if params.source == "kaggle" else None
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


class Content(Section):
    """What grid.yaml holds."""

    data: str  # what the faces are, for every title
    params: dict[str, Any]  # of every cell
    stand_ins: tuple[str, ...] = ()  # datasets that are not the report's own
    cells: list[dict[str, Any]]  # each is the product of its lists
    timed: tuple[
        dict[str, Any], ...
    ] = ()  # as well; they run when all others have, one at a time, for how long they take


class Grid(NamedTuple):
    """A report's folder, what its faces are, and its cells."""

    folder: Path
    data: str
    stand_ins: frozenset[str]
    cells: list[Cell]

    @property
    def csv(self) -> Path:
        """The file with the rows."""
        return self.folder / "cells.csv"

    def finished(self) -> pd.DataFrame:
        """The rows of the finished cells, of whatever program, in the grid's order; curves as lists of floats."""
        table = stored(self.csv)
        order = {(cell.name, cell.digest): number for number, cell in enumerate(self.cells)}
        place = [order.get(key, math.nan) for key in zip(table["name"], table["params"], strict=True)]
        table = table.assign(place=place).dropna(subset="place").sort_values("place").drop(columns="place")
        for curve in CURVES:
            table[curve] = [[float(value) for value in text.split()] for text in table[curve]]
        return table.reset_index(drop=True)

    def rows(self) -> pd.DataFrame:
        """Those of `finished` that can stand beside each other: trained by programs that give the same bytes."""
        rows = Programs.read(self.folder).comparable(self.finished())
        return rows.assign(timed=rows["name"].isin([cell.name for cell in self.cells if cell.timed]))

    def missing(self) -> list[Cell]:
        """The cells without a row, and those whose row is of a program that was shown to give other bytes by now."""
        rows = self.finished()
        valid = set(rows["name"][~rows["program"].isin(Programs.read(self.folder).outdated)])
        return [cell for cell in self.cells if cell.name not in valid]


def stored(path: Path) -> pd.DataFrame:
    """cells.csv as it is, with rows of other params too."""
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    text = ("name", "params", "program", "identity", "model", "dense_units", "commit", "environment", *CURVES)
    table = pd.read_csv(path, dtype=dict.fromkeys(text, str)).reindex(columns=COLUMNS)  # some came later than rows
    unbound = table["program"].isna()
    return table.assign(
        program=table["program"].astype(object).where(~unbound, "commit " + table["commit"].astype(object))
    )


def read(folder: Path) -> Grid:
    """Reads `folder`/grid.yaml and checks every cell's params.

    Raises:
        UserError: there is no such file, it is no grid, or a cell's params are not allowed.
    """
    path = folder / "grid.yaml"
    content = params.validated(Content, plain_yaml.read(path), path)
    defaults = plain_yaml.read(root() / "params.yaml")
    if unknown := sorted(set(content.stand_ins) - set(defaults["datasets"])):
        raise UserError(f"{path}: stand_ins names {', '.join(unknown)}, which params.yaml does not describe")
    entries = [
        ({name: _list(value) for name, value in entry.items()}, timed)
        for listed_cells, timed in ((content.cells, False), (content.timed, True))
        for entry in listed_cells
    ]
    count = sum(math.prod(map(len, entry.values())) for entry, _ in entries)
    if count > MOST_CELLS:
        raise UserError(f"{path}: {count} cells, and {MOST_CELLS} is the most that one grid may have")
    named: dict[str, Cell] = {}
    for entry, timed in entries:
        unnamed = {*NAMED, *(name for name in PLACE if len(entry.get(name, ())) < 2)}
        for chosen in (dict(zip(entry, values, strict=True)) for values in product(*entry.values())):
            checked = _params(path, defaults, content.params | chosen)
            varied = {param: value for param, value in chosen.items() if param not in unnamed}
            cell = Cell(_name(folder.name, checked, varied), varied, content.params | chosen, checked, timed)
            if (other := named.setdefault(cell.name, cell)).params != cell.params:
                raise UserError(f"{path}: two cells would both be called {cell.name}: {other.changes} {cell.changes}")
    return Grid(folder, content.data, frozenset(content.stand_ins), list(named.values()))


def listed(value: object) -> str:
    """A param's value, or those of a list, as part of a name or of a row: 1024-512."""
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _params(path: Path, defaults: dict[str, Any], changes: dict[str, Any]) -> Params:
    try:
        return params.check(params.changed(defaults, changes), path)
    except KeyError as error:
        raise UserError(f"{path}: {error.args[0]} is not a param") from error
    except UserError as error:
        raise UserError(f"{error} (cell {changes})") from error


def _name(group: str, values: Params, varied: dict[str, Any]) -> str:
    """E.g. report-ai-conv3-dropout-0.0-seed1: names that are alike stand together in `dvc exp show` and `mlflow ui`."""
    other = [
        f"{_short(name)}-{Path(str(value)).stem if name == 'local_path' else listed(value)}"
        for name, value in varied.items()
    ]
    parts = [group, values.dataset, f"conv{values.conv_layers}", *other, f"seed{values.seed}"]
    return re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(parts))


def _short(param: str) -> str:
    """The last part of a param's name, unless that is a param too."""
    last = param.split(".")[-1]
    return param if last in Params.model_fields else last
