"""Runs the missing cells of a grid, on this machine or on a cluster, and keeps their rows."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pandas as pd
from filelock import FileLock, Timeout

from src import identity
from src.core.files import root
from src.errors import UserError
from src.report import cluster, local, rows
from src.report.engines import Workers
from src.report.grid import CURVES, Cell, Grid
from src.report.programs import Programs
from src.report.rows import Row


def complete(grid: Grid, workers: Workers) -> None:
    """Runs what is missing, at last those that are timed, one at a time.

    Rows are written as soon as their cells are done. Whatever is stopped, and when: run it again. Experiments that are
    done are collected, those that wait in a queue are waited for, a training that was cut off goes on from its
    checkpoint.

    Raises:
        UserError: an experiment failed (rows of the others are kept), this command runs already, or cells are missing
            in a shallow clone.
    """
    with _alone():
        _run([cell for cell in grid.missing() if not cell.timed], workers, partial(rows.write, grid))
        for cell in [cell for cell in grid.missing() if cell.timed]:  # each by itself, so that no two can meet
            _run([cell], workers, partial(rows.write, grid), alone=True)


def confirm(grid: Grid, names: list[str], workers: Workers) -> None:
    """Trains a cell of each older program again by the program of now, and notes whether the bytes are the same.

    Args:
        names: cells to take; of a program of which none is named, the one that trains soonest.

    Raises:
        UserError: there is no finished cell of such a name; and as `complete`.
    """
    now, programs, finished = identity.of("train").program, Programs.read(grid.folder), grid.finished()
    if unknown := set(names) - set(finished["name"]):
        raise UserError(f"{grid.csv} has no finished cell {', '.join(sorted(unknown))}")
    timed = {cell.name for cell in grid.cells if cell.timed}  # at best not these: their seconds would be taken now
    chosen = {}
    while len(finished := finished[[not programs.tried(program, now) for program in finished["program"]]]):
        alike = finished[finished["program"].isin(programs.alike(finished["program"].iloc[0]))]
        named = alike[alike["name"].isin(names)]
        last, seconds = alike["name"].isin(timed), alike["seconds_per_epoch"] * alike["epochs"]
        soonest = alike.assign(last=last, seconds=seconds).sort_values(["last", "seconds"]).head(1)
        chosen |= {row.name: row for row in (named if len(named) else soonest).itertuples(index=False)}
        finished = finished.drop(alike.index)

    def compare(new: list[Row]) -> None:
        for row in new:
            old = chosen[row["name"]]
            same = all(row[curve] == rows.curve_text(getattr(old, curve)) for curve in CURVES) and (
                pd.isna(old.model) or old.model == row["model"]
            )
            Programs.read(grid.folder).add(old.program, now, old.name, same)
            print(f"{old.name}: {'the same bytes as' if same else 'other bytes than'} of program {old.program}")
        rows.write(grid, new)

    with _alone():
        _run([cell for cell in grid.cells if cell.name in chosen], workers, compare)


@contextmanager
def _alone() -> Iterator[None]:
    try:
        with FileLock(root() / ".dvc" / "tmp" / "report.lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError("another `python -m src.report` runs in this repository; wait for it or stop it") from error


def _run(cells: list[Cell], workers: Workers, done: Callable[[list[Row]], None], alone: bool = False) -> None:
    if isinstance(workers, int):
        local.run(cells, 1 if alone else workers, done)
    else:
        cluster.run(cells, workers, done)


def cores() -> int:
    """The cores this process may use: one worker each."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
