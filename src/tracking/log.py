"""What the stages have written -> metrics, tags and files of a run, as far as the run lacks it."""

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Metric
from mlflow.entities import Run as Entity

from src import environment
from src.core.files import MODEL, PREDICTIONS
from src.params import Params
from src.tracking.connection import UPLOAD, StoreError
from src.tracking.model import PREDICTOR, log_model
from src.tracking.run import Run, flat

ENVIRONMENT = "environment.json"
# Of metrics/eval.json. What it has for each label is an artifact: `mlflow ui` would draw a chart of each number.
SCORES = {
    "accuracy": "accuracy",
    "macro_f1": "macro_f1",
    "loss": "loss",
    "calibration_error": "calibration/error_after",
    "temperature": "calibration/temperature",
}
TEST_SET = "test_set"  # a tag: which images were scored; equal for runs that can be compared

Values = dict[tuple[str, int], float]  # (metric, step) -> value


class Log:
    """Compares with what the run holds and writes what it lacks; a run that holds other values is replaced.

    Raises:
        StoreError: as every method does: the store does not take it.
    """

    def __init__(self, run: Run):
        self.run = run
        self._of = run.id  # the run that `_held` and `_latest` are of
        self._held: Values = {}
        self._latest: dict[str, tuple[int, int]] = {}  # metric -> step and timestamp of its newest point in `_held`
        self._given: dict[tuple[str, int], int] = {}  # when a value was given first, in milliseconds

    @property
    def id(self) -> str:
        """The run's in MLflow, as it is now: a run that is replaced has another one."""
        return self.run.id

    def log_outputs(self, stage: str) -> None:
        """Logs what the stages up to `stage` (train, evaluate or plot) have written."""
        table = pd.read_csv("metrics/history.csv", float_precision="round_trip")
        values = _curves(table.drop(columns=["epoch", "source"]).to_dict("records"))
        if stage == "train":
            self._log(values, {})
        else:  # what is served says how sure it may be, which only evaluate knows
            scored = json.loads(Path("metrics/eval.json").read_text(encoding="utf-8"))
            self._log(values | _scores(scored), {TEST_SET: _test_set(scored)})
            log_model(self.run, MODEL)
            self.run.describe(scored)
        self.log_environment(environment.of_training(self.run.key))
        self._log_files(stage)

    def _log_files(self, stage: str) -> None:
        files = {Path("metrics/train.json"): "metrics"}
        if stage != "train":
            from src.predict.predictor import beside

            files |= dict.fromkeys([MODEL, *beside(MODEL)], PREDICTOR)
            files |= {Path("metrics/eval.json"): "metrics", Path("metrics/confusion.csv"): "metrics"}
        if stage == "plot":
            files |= dict.fromkeys(sorted(Path("plots").glob("*.png")), "figures")
        with self.run.alone(UPLOAD):
            for path, folder in files.items():
                self.run.client.log_artifact(self.run.id, str(path), folder)

    def log_environment(self, fingerprint: dict[str, str]) -> None:
        """Logs where it is trained, if that is known; not where somebody evaluates it."""
        if fingerprint:
            with self.run.alone(UPLOAD):
                self.run.client.log_dict(self.run.id, fingerprint, ENVIRONMENT)

    def log_history(self, history: list[dict[str, float]]) -> None:
        """Logs the curves so far: one row per epoch, the first is step 1."""
        self._log(_curves(history), {})

    def remember(self, history: list[dict[str, float]]) -> None:
        """Keeps when these epochs ended, for when they are logged."""
        now = int(time.time() * 1000)
        for place in _curves(history):
            self._given.setdefault(place, now)

    def _log(self, values: Values, tags: dict[str, str]) -> None:
        now = int(time.time() * 1000)
        with self.run.alone() as entity:
            self._read(entity, values)
            held = {place: self._held[place] for place in values if place in self._held}
            if any(_stored(values[place]) != _stored(value) for place, value in held.items()):
                # The same training gave other numbers before, on another machine say, or evaluate is another by now.
                entity = self.run.replace()
                self._read(entity, values)
                held = {}
            self.run.tag(entity, tags)
            missing = {place: value for place, value in sorted(values.items(), key=_step) if place not in held}
            # With the same time at each try, so that MLflow knows again what it took without an answer.
            times = {place: self._given.setdefault(place, now) for place in missing}
            self.run.client.log_batch(
                self.run.id, [Metric(name, value, times[name, step], step) for (name, step), value in missing.items()]
            )
            self._held |= missing
            for name, step in missing:
                self._latest[name] = max(self._latest.get(name, (0, 0)), (step, times[name, step]))

    def _read(self, entity: Entity, values: Values) -> None:
        """Brings `_held` up to date for the metrics in `values`, with no request for those that nobody has logged."""
        if self._of != self.run.id:
            self._of, self._held, self._latest = self.run.id, {}, {}
        steps: dict[str, set[int]] = {}
        for name, step in values:
            steps.setdefault(name, set()).add(step)
        for point in entity.data.to_proto().metrics:  # the newest one of each metric
            newest = (point.step, point.timestamp)
            if point.key not in steps or self._latest.get(point.key) == newest:
                continue
            known = steps[point.key] == {point.step}
            points = [point] if known else self.run.client.get_metric_history(self.run.id, point.key)
            self._held |= {(point.key, one.step): one.value for one in points}
            self._latest[point.key] = newest


@contextmanager
def open_run(params: Params, key: str) -> Iterator[Log]:
    """The training's run, marked as finished or failed when the block ends.

    Args:
        params: all of params.yaml.
        key: of the train stage's identity.

    Raises:
        StoreError: the store does not take it.
    """
    log = Log(Run(params, key))
    try:
        yield log
    except BaseException:
        with suppress(StoreError):  # what ended it says more
            log.run.finish("FAILED")
        raise
    log.run.finish()


def _curves(history: Sequence[Mapping[Any, float]]) -> Values:
    return {(_curve(name), step): row[name] for step, row in enumerate(history, 1) for name in row}


def _curve(name: str) -> str:
    """`accuracy` -> `accuracy/train`, `val_accuracy` -> `accuracy/validation`.

    `mlflow ui` makes a section of charts of what stands before a slash, with the charts side by side.
    """
    return f"{name.removeprefix('val_')}/{'validation' if name.startswith('val_') else 'train'}"


def _scores(scored: dict[str, Any]) -> Values:
    """At step 0, as `mlflow ui` draws a bar of what has no later one; its section comes after those of the curves."""
    numbers = flat(scored, "/")
    names = SCORES | {name: name for name in numbers if name.startswith("rotations/")}
    return {(f"scores/{name}", 0): float(numbers[place]) for name, place in names.items()}


def _test_set(scored: dict[str, Any]) -> str:
    """The split that was scored, how many images, and a hash of which, with their labels."""
    columns = pd.read_csv(PREDICTIONS, usecols=["member", "actual"], dtype=str, keep_default_na=False)
    known = hashlib.sha256(columns.to_csv(index=False, lineterminator="\n").encode()).hexdigest()
    return f"{scored['split']}, {scored['images']} images, {known[:12]}"


def _step(item: tuple[tuple[str, int], float]) -> int:
    return item[0][1]


def _stored(value: float) -> str:
    """As a SQL store has it: without infinity."""
    largest = sys.float_info.max
    return repr(value if value != value else min(max(value, -largest), largest))
