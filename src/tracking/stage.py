"""MLflow as a stage sees it: it may go away in the middle, since DVC's outputs are the truth."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tqdm import tqdm

from src import environment
from src.errors import printable
from src.params import Params
from src.tracking.connection import StoreError
from src.tracking.log import Log, open_run
from src.tracking.run import Run

SHARE = 10  # what takes nothing is tried again after so many times the seconds that trying took


class Stage:
    """Logs to a run, says once that the store takes nothing more, and goes on."""

    def __init__(self, log: Log):
        self._log = log
        self._lost = ""  # why the last thing was not taken
        self._next = 0.0

    def log_history(self, history: list[dict[str, float]]) -> None:
        """Logs the curves so far, with the epochs that were not taken before."""
        self._log.remember(history)
        started = time.monotonic()
        if started < self._next:
            return
        lost, self._lost = self._lost, ""
        try:
            self._log.log_history(history)
        except StoreError as error:
            self._lost = str(error)
            now = time.monotonic()
            self._next = now + SHARE * (now - started)
        if self._lost and not lost:
            _say(f"MLflow takes nothing more, training goes on: {self._lost}")
        elif lost and not self._lost:
            _say("MLflow takes runs again, and has every epoch so far")

    def log_outputs(self, stage: str) -> None:
        """As `Log.log_outputs`; what is not taken is said by `finish`."""
        self._lost = ""
        try:
            self._log.log_outputs(stage)
        except StoreError as error:
            self._lost = str(error)

    def finish(self) -> None:
        """Marks the run as finished, or as failed where it lacks something, and says so."""
        if not self._lost:
            try:
                self._log.run.finish()
            except StoreError as error:
                self._lost = str(error)
        else:
            with suppress(StoreError):
                self._log.run.finish("FAILED")
        if self._lost:
            _later(self._lost)


@contextmanager
def open_stage(params: Params, key: str) -> Iterator[Stage]:
    """As `open_run`, for a training that begins: what MLflow does not take is said, and does not end it.

    Raises:
        StoreError: it takes nothing from the start: a dead server must not cost a training.
    """
    log = Log(Run(params, key))
    stage = Stage(log)
    try:
        log.log_environment(environment.fingerprint())
        yield stage
    except BaseException:
        with suppress(StoreError):
            log.run.finish("FAILED")
        raise
    stage.finish()


def log_stage(params: Params, key: str, stage: str) -> None:
    """Logs what the stages up to `stage` have written; says so if MLflow does not take it."""
    try:
        with open_run(params, key) as log:
            log.log_outputs(stage)
    except StoreError as error:
        _later(str(error))


def _later(reason: str) -> None:
    _say(
        f"the outputs are complete, but MLflow has not all of them: {reason}; "
        "once it takes runs, `make mlflow-sync` logs every commit and experiment"
    )


def _say(text: str) -> None:
    tqdm.write(f"warning: {printable(text)}", file=sys.stderr)
