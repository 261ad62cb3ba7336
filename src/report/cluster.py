"""Runs cells on a cluster.

The engine starts commands on nodes and knows which are alive. What finishes a cell is its row, which is read from the
experiment that a node has pushed; nothing depends on who saw a command end, or how.
"""

import json
import shlex
import sys
import time
from collections.abc import Callable

from src import identity, progress
from src.core.files import root
from src.errors import UserError, printable
from src.report import rows, shared
from src.report.engines import Engine
from src.report.grid import Cell
from src.report.rows import Row
from src.report.shared import Shared
from src.revisions import call, experiments_of

POLL = 5  # seconds
TRIES = 5  # of a cell that ends without a row
PAUSE = 15  # seconds after the first try; twice as many after each further one
REST = 300  # seconds for which a node keeps a cell that failed there; one with a full disk would soon have had them all
# What a node runs. FACE_EMOTIONS_HOME, in its own environment, is its clone with an environment, if it lies elsewhere
# than here. Each cell has a folder there, in which a try goes on that was cut off, with the code of the commit.
NODE = """set -eu
trap '[ $? = 0 ] || sleep {rest}' EXIT
cd "${{FACE_EMOTIONS_HOME:-{home}}}"
home=$PWD
mkdir -p .cells
exec 9> .cells/{job}.lock
flock 9
rm -f .cells/{job}/.git/*.lock
git init --quiet .cells/{job}
cd .cells/{job}
git fetch --quiet --depth=1 {hub} {commit}
git checkout --quiet --force FETCH_HEAD
cd ./{inside}
"$home/.venv/bin/python" -m src.report.cell "$home" {task}
"""


def run(cells: list[Cell], engine: Engine, done: Callable[[list[Row]], None]) -> None:
    """Runs these cells, and gives the rows of those that are done to `done`.

    While the cluster or the git remote does not answer it says so, once, and waits.

    Raises:
        UserError: nodes could not work for this repository (`shared.found`), or cells failed on every try, once all
            others are done.
    """
    if not cells:
        return
    from src import tracking  # MLflow takes seconds

    program, others = identity.of("train").program, set[str]()
    common = shared.found(root())
    tracking.prepare()  # one node would make the experiment in MLflow, and the others fail
    tries = {cell.name: Tries(common, cell) for cell in cells}
    missing, said = cells, ""
    with progress.bar(unit="cell", total=len(cells)) as bar:
        while any(not tries[cell.name].failed for cell in missing):
            try:
                alive = engine.alive()  # asked first: what has ended by then has pushed its row, if it ever does
                common.fetch()
            except UserError as error:
                troubles = str(error)
            else:
                left = rows.collect(common.clone, program, missing, others, done)
                bar.update(len(missing) - len(left))
                missing = left
                troubles = _submit(common, engine, [tries[cell.name] for cell in missing], alive)
            if troubles and troubles != said:
                bar.write(f"waiting, as {printable(troubles)}", file=sys.stderr)
            said = troubles
            if missing:
                time.sleep(POLL)
    if missing:
        raise UserError(
            f"{len(missing)} cells failed {TRIES} times: {', '.join(cell.name for cell in missing)}; "
            f"what went wrong: {engine.logs(tries[missing[0].name].job)}"
        )


class Tries:
    """How often a cell was submitted, and when it may be again."""

    def __init__(self, common: Shared, cell: Cell):
        self.common, self.cell = common, cell
        # Another head calls it the same, which submits nothing then; with other params it has another name.
        self.job = f"{cell.name}-{common.commit[:8]}-{cell.digest[:8]}"
        self.count = 0
        self.failed = False
        self._next = 0.0
        self._runs = False

    def is_due(self, alive: set[str]) -> bool:
        """Whether it is to be submitted now."""
        now = time.monotonic()
        if self.job in alive:
            self._runs = True
        elif self._runs:  # it has just ended, without a row
            self._runs = False
            self._next = now + PAUSE * 2 ** (self.count - 1)
            self.failed = self.count >= TRIES
        return not (self._runs or self.failed or now < self._next)

    def submit(self, engine: Engine, inside: str) -> None:
        """Once more.

        Args:
            inside: the folder of the git repository that is the project.
        """
        engine.submit(self.job, self._command(inside), self.cell.params.threads)
        self.count += 1
        self._runs = True

    def _command(self, inside: str) -> str:
        task = {
            "job": self.job,
            "name": self.cell.name,
            "digest": self.cell.digest,
            "changes": self.cell.changes,
            "hub": self.common.hub,
            "mlflow": self.common.mlflow,
        }
        return NODE.format(
            rest=REST,
            home=self.common.clone,
            job=self.job,
            hub=shlex.quote(self.common.hub),
            commit=self.common.commit,
            inside=shlex.quote(inside),
            task=shlex.quote(json.dumps(task)),
        )


def _submit(common: Shared, engine: Engine, tries: list[Tries], alive: set[str]) -> str:
    """Submits those whose time has come, as far as there are cores: Ray gives up what waits for a quarter of an hour.

    Returns:
        Why some were not submitted, though there are cores; empty if none.
    """
    due = [one for one in tries if one.is_due(alive)]
    if not due:
        return ""
    troubles: dict[str, None] = {}
    try:
        free = engine.free()
        others = experiments_of(common.clone, common.commit)  # by these names, with other params or of other programs
        inside = call("git", "rev-parse", "--show-prefix", cwd=common.clone).strip()
    except UserError as error:
        return str(error)
    for one in due:
        if free < one.cell.params.threads:
            break
        try:
            if one.cell.name in others:
                common.forget(one.cell.name, others[one.cell.name])
            one.submit(engine, inside)
            free -= one.cell.params.threads
        except UserError as error:
            troubles[str(error)] = None
    return "; ".join(troubles)
