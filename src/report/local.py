"""Runs cells as DVC experiments on this machine, through DVC's own queue."""

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from src import identity, progress
from src.core.files import root
from src.errors import UserError
from src.report import rows
from src.report.grid import Cell
from src.report.rows import Row
from src.revisions import call, experiments, experiments_of, is_shallow, resolve


def run(cells: list[Cell], workers: int, done: Callable[[list[Row]], None]) -> None:
    """Runs these cells, and gives the rows of those that are done to `done`; errors as `complete`."""
    repository, program = root(), identity.of("train").program
    others: set[str] = set()
    missing = rows.collect(repository, program, cells, others, done)
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
            before, missing = len(missing), rows.collect(repository, program, missing, others, done)
            bar.update(before - len(missing))
            if missing and time.monotonic() - checked > 60:  # seldom: `dvc queue status` takes seconds from the workers
                alive = _check(repository, program, missing, workers, alive)
                checked = time.monotonic()


def _enqueue(repository: Path, cells: list[Cell]) -> None:
    states = _status(repository)
    names = experiments_of(repository, resolve(repository, "HEAD"))
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
    stranded += [cell for cell in done if rows.read(repository, program, cell, commits[cell.name]) is None]
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
