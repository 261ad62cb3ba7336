"""Runs the missing cells of a grid as DVC experiments, through DVC's own queue, and collects their rows."""

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from filelock import FileLock, Timeout

from src import environment, identity, params, plain_yaml, progress, revisions
from src.core.files import MODEL, root, write_csv
from src.errors import UserError
from src.report.grid import COLUMNS, CURVES, Cell, Grid, listed, stored
from src.report.programs import Programs
from src.revisions import call, experiments, is_shallow, outputs, resolve

Row = dict[str, Any]  # of cells.csv, by its columns
FILES = (
    "params.yaml",
    "dvc.lock",
    *(f"metrics/{name}" for name in ("history.csv", "train.json", "eval.json", "scores.json", "audit.json")),
)


def complete(grid: Grid, workers: int) -> None:
    """Runs what is missing, `workers` cells at a time, at last those that are timed, one at a time.

    Rows are written as soon as their cells are done. Whatever is stopped, and when: run it again. Experiments that are
    done are collected, those that wait in the queue are waited for, a training that was cut off goes on from its
    checkpoint.

    Raises:
        UserError: an experiment failed (rows of the others are kept), this command runs already, or cells are missing
            in a shallow clone.
    """
    with _alone():
        run([cell for cell in grid.missing() if not cell.timed], workers, partial(write_rows, grid))
        for cell in [cell for cell in grid.missing() if cell.timed]:  # each by itself, so that no two can meet
            run([cell], 1, partial(write_rows, grid))


def confirm(grid: Grid, names: list[str], workers: int) -> None:
    """Trains a cell of each older program again by the program of now, and notes whether the bytes are the same.

    Args:
        names: cells to take; of a program of which none is named, the one that trains soonest.

    Raises:
        UserError: there is no finished cell of such a name; and as `complete`.
    """
    now, programs, rows = identity.of("train").program, Programs.read(grid.folder), grid.finished()
    if unknown := set(names) - set(rows["name"]):
        raise UserError(f"{grid.csv} has no finished cell {', '.join(sorted(unknown))}")
    timed = {cell.name for cell in grid.cells if cell.timed}  # at best not these: their seconds would be taken now
    chosen = {}
    while len(rows := rows[[not programs.tried(program, now) for program in rows["program"]]]):
        alike = rows[rows["program"].isin(programs.alike(rows["program"].iloc[0]))]
        named = alike[alike["name"].isin(names)]
        last, seconds = alike["name"].isin(timed), alike["seconds_per_epoch"] * alike["epochs"]
        soonest = alike.assign(last=last, seconds=seconds).sort_values(["last", "seconds"]).head(1)
        chosen |= {row.name: row for row in (named if len(named) else soonest).itertuples(index=False)}
        rows = rows.drop(alike.index)

    def compare(rows: list[Row]) -> None:
        for row in rows:
            old = chosen[row["name"]]
            same = all(row[curve] == _text(getattr(old, curve)) for curve in CURVES) and (
                pd.isna(old.model) or old.model == row["model"]
            )
            Programs.read(grid.folder).add(old.program, now, old.name, same)
            print(f"{old.name}: {'the same bytes as' if same else 'other bytes than'} of program {old.program}")
        write_rows(grid, rows)

    with _alone():
        run([cell for cell in grid.cells if cell.name in chosen], workers, compare)


@contextmanager
def _alone() -> Iterator[None]:
    try:
        with FileLock(root() / ".dvc" / "tmp" / "report.lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError("another `python -m src.report` runs in this repository; wait for it or stop it") from error


def run(cells: list[Cell], workers: int, done: Callable[[list[Row]], None]) -> None:
    """Runs these cells, and gives the rows of those that are done to `done`; errors as `complete`."""
    repository, program = root(), identity.of("train").program
    others: set[str] = set()
    missing = _collect(repository, program, cells, others, done)
    if not missing:
        return
    if is_shallow(repository):  # it cannot fetch them from the copies in which they ran, and does not say so
        raise UserError("this clone is shallow, and in such a one DVC loses what its queue ran: git fetch --unshallow")
    _enqueue(repository, missing)
    # Without pipes: the workers go on in the background and would keep them open.
    call("dvc", "queue", "start", "-j", str(workers), cwd=repository, capture=False)
    with progress.bar(unit="cell", total=len(cells), initial=len(cells) - len(missing)) as bar:
        checked, alive = time.monotonic(), workers
        while missing:
            time.sleep(5)
            before, missing = len(missing), _collect(repository, program, missing, others, done)
            bar.update(before - len(missing))
            if missing and time.monotonic() - checked > 60:  # seldom: `dvc queue status` takes seconds from the workers
                alive = _check(repository, program, missing, workers, alive)
                checked = time.monotonic()


def _enqueue(repository: Path, cells: list[Cell]) -> None:
    states = _status(repository)
    head = resolve(repository, "HEAD")
    ours = f"refs/exps/{head[:2]}/{head[2:]}"  # where DVC keeps the experiments of this commit
    names = call("git", "for-each-ref", "--format=%(refname:lstrip=4)", ours, cwd=repository).split()
    for cell in cells:
        state = states.get(cell.name)
        if state in ("Queued", "Running"):
            continue
        if state == "Stopped":
            call("dvc", "queue", "kill", "--force", cell.name, cwd=repository)
        if state:
            call("dvc", "queue", "remove", cell.name, cwd=repository)
        if cell.name in names:  # with params or of a program that are others by now
            call("dvc", "exp", "remove", cell.name, cwd=repository)
        changes = [f"--set-param={name}={json.dumps(value)}" for name, value in cell.changes.items()]
        call("dvc", "exp", "run", "--queue", "--name", cell.name, *changes, cwd=repository)


def _check(repository: Path, program: str, missing: list[Cell], workers: int, before: int) -> int:
    """Brings back workers that ended, with the cells they had; stops when nothing that is missing can still come.

    Args:
        before: workers that were alive at the last check.

    Returns:
        Workers that are alive.
    """
    states, alive = _status(repository), _workers(repository)
    failed = [cell.name for cell in missing if states.get(cell.name) == "Failed"]
    coming = [cell.name for cell in missing if states.get(cell.name) in ("Queued", "Running", "Stopped", "Success")]
    if failed and not coming:
        raise UserError(f"{len(failed)} cells failed; what went wrong: dvc queue logs {failed[0]}")
    if not coming:  # somebody took them out by hand
        raise UserError(f"{missing[0].name} is no longer in DVC's queue; run the command again")
    # Seen twice without a worker, as one may be about to collect what has ended, and a busy one answers too late.
    stranded = [cell for cell in missing if states.get(cell.name) == "Stopped" and not alive and not before]
    # Queued before the code changed.
    commits = experiments(repository)
    done = [cell for cell in missing if states.get(cell.name) == "Success" and cell.name in commits]
    stranded += [cell for cell in done if _row(repository, program, cell, commits[cell.name]) is None]
    if stranded:
        if identity.of("train").program != program:  # they would run with other code than the cells before them
            raise UserError(
                f"{stranded[0].name} must run again, and code or libraries have changed; run the command again"
            )
        _enqueue(repository, stranded)
    # A worker ends when it reads a message that another process is just writing (kombu's file system transport).
    if alive < workers and (stranded or "Queued" in states.values()):
        call("dvc", "queue", "start", "-j", str(workers), cwd=repository, capture=False)
    return alive


def _status(repository: Path) -> dict[str, str]:
    """From `dvc queue status`: name -> Queued, Running, Success or Failed, the last word of its row.

    DVC calls a cell Running for ever whose worker was killed: if nothing trains it, it is Stopped.
    """
    rows = [line.split() for line in _asked(repository).splitlines()]
    states = {}
    for task, name, *_, state in (row for row in rows if len(row) >= 4):
        if state in ("Queued", "Running", "Success", "Failed"):
            states[name] = "Stopped" if state == "Running" and not _is_run(repository, task) else state
    return states


def _workers(repository: Path) -> int:
    """How many workers of DVC's queue live.

    Not as `dvc queue status` counts them: on a loaded machine they answer it too late, and more would be started.
    """
    folder = repository / ".dvc/tmp/exps/celery"
    name = f"dvc-exp-{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}-"  # as DVC calls them
    lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return len({part for line in lines if "queue-worker" in line for part in line if part.startswith(name)})


def _is_run(repository: Path, task: str) -> bool:
    """Whether the process is there that DVC has started for a task, named by the first digits of its id."""
    for path in (repository / ".dvc/tmp/exps/run").glob(f"{task}*/{task}*.json"):
        with suppress(psutil.Error):
            return "exec-run" in psutil.Process(json.loads(path.read_text(encoding="utf-8"))["pid"]).cmdline()
    return False


def _asked(repository: Path) -> str:
    """What `dvc queue status` prints; asked up to five times, as it fails on a worker that is just writing its answer.

    Kombu's file system transport reads the half-written file: https://github.com/celery/kombu/issues/1551.
    """
    for _ in range(4):
        try:
            return call("dvc", "queue", "status", cwd=repository)
        except UserError as error:
            if "Expecting value" not in str(error):
                raise
    return call("dvc", "queue", "status", cwd=repository)


def _collect(
    repository: Path, program: str, cells: list[Cell], others: set[str], done: Callable[[list[Row]], None]
) -> list[Cell]:
    """Gives those that are done to `done`, and returns the others.

    Args:
        others: commits of other params or programs, which are not read again; more are added.
    """
    commits, rows = experiments(repository), {}
    for cell in cells:
        commit = commits.get(cell.name)
        if commit is None or commit in others:
            continue
        if row := _row(repository, program, cell, commit):
            rows[cell.name] = row
        else:
            others.add(commit)
    if rows:
        done(list(rows.values()))
    return [cell for cell in cells if cell.name not in rows]


def write_rows(grid: Grid, rows: list[Row]) -> None:
    """Writes the rows of finished cells into cells.csv, in place of older ones; all at once, since it may be long."""
    before = stored(grid.csv)
    kept = before[~before["name"].isin([row["name"] for row in rows])]
    write_csv(grid.csv, pd.DataFrame([*kept.to_dict("records"), *rows], columns=COLUMNS).sort_values("name"))


def _row(repository: Path, program: str, cell: Cell, commit: str) -> Row | None:
    """The row of a cell from the experiment of that commit; None if it has other params, or another program ran it."""
    texts = revisions.texts(repository, commit, FILES)
    lock = plain_yaml.parse(texts["dvc.lock"], f"{cell.name}:dvc.lock")
    trained = identity.recorded(lock["stages"]["train"])
    if trained.program != program:
        return None
    place = Path(f"{cell.name}:params.yaml")
    params_then = params.check(plain_yaml.parse(texts["params.yaml"], place), place)
    if cell._replace(params=params_then).digest != cell.digest:
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
        **{curve: _text(history[curve]) for curve in CURVES},
    }


def _text(curve: Iterable[float]) -> str:
    return " ".join(f"{value:.5f}" for value in curve)


def cores() -> int:
    """The cores this process may use: one worker each."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
