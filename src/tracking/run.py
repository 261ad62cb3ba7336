"""One experiment's run: found by its key or made, and brought to what the stages have written."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities import Metric, Param, RunTag

from src import environment
from src.files import digest
from src.params import Params
from src.tracking import store
from src.tracking.store import QUICK, UPLOAD, Limits, StoreError

KEY = "experiment_key"
ENVIRONMENT = "environment.json"
PREDICTOR = "predictor"  # artifacts: model.h5 and calibration.json, what `python -m src.predict --run` needs
MODEL = "model_md5"  # as in dvc.lock, so that a run is found from a commit too

Values = dict[tuple[str, int], float]  # (metric, step) -> value


class Run:
    """The MLflow run of the experiment `key`; made when there is none, also when it was deleted in the meantime.

    Every method reads what the run holds and writes what it lacks while no other process of this repository does.

    Raises:
        StoreError: as every method does: the store does not take it.
    """

    def __init__(self, params: Params, key: str):
        self.params, self.key = params, key
        self.id = ""
        self._experiment = ""
        self._held: Values = {}
        self._latest: dict[str, tuple[int, int]] = {}  # metric -> step and timestamp of its newest point in `_held`
        self._given: dict[tuple[str, int], int] = {}  # when a value was given first, in milliseconds
        try:
            with self._alone() as found:
                if found.info.status != "RUNNING":
                    self._client.update_run(self.id, status="RUNNING")
                self._tag(found, _provenance())
        except StoreError:
            with suppress(StoreError):
                self.finish("FAILED")
            raise

    def log_outputs(self, stage: str) -> None:
        """Logs what the stages up to `stage` (train, evaluate or plot) have written, as far as the run lacks it."""
        table = pd.read_csv("metrics/history.csv", float_precision="round_trip")
        values = _curves(table.drop(columns=["epoch", "source"]).to_dict("records"))
        words: dict[str, str] = {}
        for name in ("train",) if stage == "train" else ("train", "eval"):
            # With slashes, because `mlflow ui` makes a section of charts of what stands before one.
            found = _flat(json.loads(Path(f"metrics/{name}.json").read_text(encoding="utf-8")), "/")
            words |= {f"{name}/{key}": value for key, value in found.items() if isinstance(value, str)}
            numbers = {key: float(value) for key, value in found.items() if not isinstance(value, str)}
            values |= {(f"{name}/{key}", self.params.epochs): value for key, value in numbers.items()}
        self._log(values, words)
        self._log_model(Path("models/model.h5"))
        if stage == "train":
            self.log_environment()
            return
        files = {Path("models/model.h5"): PREDICTOR, Path("models/calibration.json"): PREDICTOR}
        if stage == "plot":
            files |= {figure: "figures" for figure in sorted(Path("plots").glob("*.png"))}
        with self._alone(UPLOAD):
            for path, folder in files.items():
                self._client.log_artifact(self.id, str(path), folder)

    def log_environment(self) -> None:
        """Logs where it is trained; not where somebody evaluates it."""
        found = environment.fingerprint()
        with self._alone(UPLOAD):
            self._client.log_dict(self.id, found, ENVIRONMENT)

    def log_history(self, history: list[dict[str, float]]) -> None:
        """Logs the curves so far: one row per epoch, the first is step 1."""
        self._log(_curves(history), {})

    def remember(self, history: list[dict[str, float]]) -> None:
        """Keeps when these epochs ended, for when they are logged."""
        now = int(time.time() * 1000)
        for place in _curves(history):
            self._given.setdefault(place, now)

    def finish(self, status: str = "FINISHED") -> None:
        if self.id:
            with store.talking() as place:
                store.client(place).set_terminated(self.id, status)

    @contextmanager
    def _alone(self, limits: Limits = QUICK) -> Iterator[mlflow.entities.Run]:
        """Gives the run as it is; until the block ends only this process logs it."""
        with store.talking(limits) as self._store, store.alone(self.key, limits):
            self._client = store.client(self._store, limits)
            yield self._found()

    def _found(self) -> mlflow.entities.Run:
        ours = f"tags.{KEY} = '{self.key}'"
        found = self._client.search_runs([self._experiment], ours, max_results=1) if self._experiment else []
        if not found:
            self._experiment = store.experiment(self._store, self._client)
            found = self._client.search_runs([self._experiment], ours, max_results=1)
        run = found[0] if found else self._created()
        if run.info.run_id != self.id:
            self.id, self._held, self._latest = run.info.run_id, {}, {}
        # A kill can come between a run and its params.
        values = self.params.model_dump(mode="json")
        if labels := values["layout"]["labels"]:  # names of other people's folders, which MLflow need not take
            values["layout"]["labels"] = json.dumps(labels)
        values = _flat(values, ".")
        lacking = [Param(name, str(value)) for name, value in values.items() if name not in run.data.params]
        self._client.log_batch(self.id, params=lacking)
        return run

    def _created(self) -> mlflow.entities.Run:
        p = self.params
        name = f"{p.source}-{p.dataset}-conv{p.conv_layers}-{p.epochs}-seed{p.seed}"
        tags = {KEY: self.key, "dataset": p.dataset, "source": p.source, "conv_layers": str(p.conv_layers)}
        return self._client.create_run(
            self._experiment, run_name=os.environ.get("DVC_EXP_NAME", name), tags=tags | _provenance()
        )

    def _tag(self, run: mlflow.entities.Run, tags: dict[str, str]) -> None:
        lacking = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        self._client.log_batch(self.id, tags=lacking)

    def _log(self, values: Values, tags: dict[str, str]) -> None:
        now = int(time.time() * 1000)
        with self._alone() as found:
            self._read(found, values)
            held = {place: self._held[place] for place in values if place in self._held}
            if any(_stored(values[place]) != _stored(value) for place, value in held.items()):
                # The same experiment gave other numbers before, on another machine say. A metric cannot be taken back.
                self._client.delete_run(self.id)
                found, held = self._found(), {}
            self._tag(found, tags)
            missing = {place: value for place, value in sorted(values.items(), key=_step) if place not in held}
            # With the same time at each try, so that MLflow knows again what it took without an answer.
            times = {place: self._given.setdefault(place, now) for place in missing}
            self._client.log_batch(
                self.id, [Metric(name, value, times[name, step], step) for (name, step), value in missing.items()]
            )
            self._held |= missing
            for name, step in missing:
                self._latest[name] = max(self._latest.get(name, (0, 0)), (step, times[name, step]))

    def _read(self, run: mlflow.entities.Run, values: Values) -> None:
        """Brings `_held` up to date for the metrics in `values`, with no request for those that nobody has logged."""
        steps: dict[str, set[int]] = {}
        for name, step in values:
            steps.setdefault(name, set()).add(step)
        for point in run.data.to_proto().metrics:  # the newest one of each metric
            newest = (point.step, point.timestamp)
            if point.key not in steps or self._latest.get(point.key) == newest:
                continue
            known = steps[point.key] == {point.step}
            points = [point] if known else self._client.get_metric_history(self.id, point.key)
            self._held |= {(point.key, one.step): one.value for one in points}
            self._latest[point.key] = newest

    def _log_model(self, path: Path) -> None:
        """Logs the model with signature and input example, unless these very bytes are logged already."""
        actual = digest(path, "md5")
        with self._alone() as found:
            if found.data.tags.get(MODEL) == actual:
                return
        import numpy as np  # TensorFlow takes seconds to import, and most callers find the model logged

        from src.model import saved

        model, _ = saved.load(path)
        size = self.params.data.input_size
        example = np.full((1, size, size, 1), 0.5, np.float32)  # grey: no face of the data set leaves it this way
        signature = mlflow.models.infer_signature(example, model.predict(example, verbose=0))
        packages = [f"{name}=={version(name)}" for name in ("keras", "numpy", "tensorflow")]
        with self._alone(UPLOAD) as found, store.environment({"MLFLOW_TRACKING_URI": self._store.uri}):
            if found.data.tags.get(MODEL) == actual:  # another process was sooner
                return
            # One that was killed before it was tagged, or the model of other bytes.
            for old in self._client.search_logged_models([self._experiment], f"source_run_id = '{self.id}'"):
                self._client.delete_logged_model(old.model_id)
            with mlflow.start_run(run_id=self.id):
                mlflow.tensorflow.log_model(
                    model, name="model", signature=signature, input_example=example, pip_requirements=packages
                )
            self._tag(found, {MODEL: actual})


@contextmanager
def open_run(params: Params, key: str) -> Iterator[Run]:
    """The experiment's run, marked as finished or failed when the block ends.

    Raises:
        StoreError: the store does not take it.
    """
    run = Run(params, key)
    try:
        yield run
    except BaseException:
        with suppress(StoreError):  # what ended it says more
            run.finish("FAILED")
        raise
    run.finish()


def _curves(history: list[dict[str, float]]) -> Values:
    return {(name, step): row[name] for step, row in enumerate(history, 1) for name in row}


def _step(item: tuple[tuple[str, int], float]) -> int:
    return item[0][1]


def _stored(value: float) -> str:
    """As a SQL store has it: without infinity."""
    largest = sys.float_info.max
    return repr(value if value != value else min(max(value, -largest), largest))


def _flat(nested: dict, separator: str) -> dict:
    """{"a": {"b": 1}} -> {"a.b": 1}"""
    return pd.json_normalize(nested, sep=separator).to_dict("records")[0]


def _provenance() -> dict[str, str]:
    """Which commit, which DVC experiment, which data."""
    tags = {"data_sha256": json.loads(Path("metrics/preprocess.json").read_text(encoding="utf-8"))["data_sha256"]}
    commit = os.environ.get("DVC_EXP_BASELINE_REV") or _head()
    if commit:
        tags["mlflow.source.git.commit"] = commit
    if "DVC_EXP_NAME" in os.environ:
        tags["dvc_experiment"] = os.environ["DVC_EXP_NAME"]
    return tags


def _head() -> str:
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return git.stdout.strip() if git.returncode == 0 else ""
