"""MLflow: one run per experiment, found again by the experiment's key. Nothing else imports mlflow.

DVC's outputs are the truth and a run is a view of them: whatever is logged is compared with what the run already
holds, so that logging twice adds nothing, and a run that holds other values is replaced.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from filelock import FileLock

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody agreed to it, and it wants a network

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from src import environment
from src.errors import UserError
from src.files import digest, root
from src.params import Params

EXPERIMENT = "face-emotions"
KEY = "experiment_key"
ENVIRONMENT = "environment.json"
PREDICTOR = "predictor"  # artifacts: model.h5 and calibration.json, what `python -m src.predict --run` needs
MODEL = "model_md5"  # as in dvc.lock, so that a run is found from a commit too
PROBE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}

Values = dict[tuple[str, int], float]  # (metric, step) -> value


class Run:
    """The MLflow run of the experiment `key`; made when there is none."""

    def __init__(self, params: Params, key: str):
        self.params, self.key = params, key
        self.client, self.experiment_id = _connect()
        with _lock():
            found = self.client.search_runs([self.experiment_id], f"tags.{KEY} = '{key}'")
            self.id = found[0].info.run_id if found else self._create()
        self.client.update_run(self.id, status="RUNNING")
        self._tag(_provenance())
        names = self.client.get_run(self.id).data.metrics
        histories = (self.client.get_metric_history(self.id, name) for name in names)
        self._held: Values = {(point.key, point.step): point.value for history in histories for point in history}

    def log_outputs(self, stage: str) -> None:
        """Logs what the stages up to `stage` (train, evaluate or plot) have written, as far as the run lacks it."""
        history = pd.read_csv("metrics/history.csv", float_precision="round_trip")
        self.log_history(history.drop(columns=["epoch", "source"]).to_dict("records"))
        self._log_results("train", Path("metrics/train.json"))
        self._log_model(Path("models/model.h5"))
        if stage == "train":  # where it was trained, not where somebody evaluates it
            self.client.log_dict(self.id, environment.fingerprint(), ENVIRONMENT)
        if stage in ("evaluate", "plot"):
            self._log_results("eval", Path("metrics/eval.json"))
            for path in (Path("models/model.h5"), Path("models/calibration.json")):
                self.client.log_artifact(self.id, str(path), PREDICTOR)
        if stage == "plot":
            for figure in sorted(Path("plots").glob("*.png")):
                self.client.log_artifact(self.id, str(figure), "figures")

    def log_history(self, history: list[dict[str, float]]) -> None:
        """Logs the curves so far: one row per epoch, the first is step 1."""
        self._log({(name, step): row[name] for step, row in enumerate(history, 1) for name in row})

    def _log_results(self, prefix: str, path: Path) -> None:
        """Logs every number in a metrics file, at the last epoch's step; strings become tags."""
        # With slashes, because `mlflow ui` makes a section of charts of what stands before one.
        flat = _flat(json.loads(path.read_text(encoding="utf-8")), "/")
        self._tag({f"{prefix}/{name}": value for name, value in flat.items() if isinstance(value, str)})
        numbers = {name: value for name, value in flat.items() if not isinstance(value, str)}
        self._log({(f"{prefix}/{name}", self.params.epochs): float(value) for name, value in numbers.items()})

    def _log_model(self, path: Path) -> None:
        """Logs the model with signature and input example, unless these very bytes are logged already."""
        actual = digest(path, "md5")
        if self.client.get_run(self.id).data.tags.get(MODEL) == actual:
            return
        import numpy as np  # TensorFlow takes seconds to import, and most callers find the model logged

        from src.model import saved

        model, _ = saved.load(path)
        size = self.params.data.input_size
        example = np.full((1, size, size, 1), 0.5, np.float32)  # grey: no face of the data set leaves it this way
        signature = mlflow.models.infer_signature(example, model.predict(example, verbose=0))
        packages = [f"{name}=={version(name)}" for name in ("keras", "numpy", "tensorflow")]
        with mlflow.start_run(run_id=self.id, experiment_id=self.experiment_id):
            mlflow.tensorflow.log_model(
                model, name="model", signature=signature, input_example=example, pip_requirements=packages
            )
        self._tag({MODEL: actual})

    def finish(self, status: str = "FINISHED") -> None:
        self.client.set_terminated(self.id, status)

    def _create(self) -> str:
        p = self.params
        name = f"{p.source}-{p.dataset}-conv{p.conv_layers}-{p.epochs}-seed{p.seed}"
        run = self.client.create_run(self.experiment_id, run_name=os.environ.get("DVC_EXP_NAME", name))
        values = _flat(p.model_dump(mode="json"), ".")
        tags = {KEY: self.key, "dataset": p.dataset, "source": p.source, "conv_layers": p.conv_layers}
        self.client.log_batch(
            run.info.run_id,
            params=[Param(name, str(value)) for name, value in values.items()],
            tags=[RunTag(name, str(value)) for name, value in tags.items()],
        )
        return run.info.run_id

    def _tag(self, tags: dict[str, str]) -> None:
        self.client.log_batch(self.id, tags=[RunTag(name, value) for name, value in tags.items()])

    def _log(self, values: Values) -> None:
        held = {place: self._held[place] for place in values if place in self._held}
        if any(repr(values[place]) != repr(value) for place, value in held.items()):
            # The same experiment gave other numbers before, on another machine say. A metric cannot be taken back.
            self.client.delete_run(self.id)
            with _lock():
                self.id = self._create()
            self._tag(_provenance())
            values, held, self._held = self._held | values, {}, {}
        now = int(time.time() * 1000)
        missing = {place: value for place, value in values.items() if place not in held}
        if missing:
            self.client.log_batch(self.id, [Metric(name, value, now, step) for (name, step), value in missing.items()])
        self._held |= missing


def environment_of(model_md5: str) -> dict[str, str]:
    """The environment in which the model of that hash was trained; empty when no run knows it."""
    client, experiment_id = _connect()
    found = client.search_runs([experiment_id], f"tags.{MODEL} = '{model_md5}'")
    if not found or ENVIRONMENT not in {a.path for a in client.list_artifacts(found[0].info.run_id)}:
        return {}
    with TemporaryDirectory() as folder:
        path = Path(client.download_artifacts(found[0].info.run_id, ENVIRONMENT, folder))
        return json.loads(path.read_text(encoding="utf-8"))


def download_model(run: str, folder: Path) -> Path:
    """model.h5 of the run with that id or name, with its calibration.json, in `folder`.

    Raises:
        UserError: there is no such run, there are several, or it was never evaluated.
    """
    client, experiment_id = _connect()
    quoted = run.replace("'", "")
    fields = ("attributes.run_id", "attributes.run_name")
    found = [one for field in fields for one in client.search_runs([experiment_id], f"{field} = '{quoted}'")]
    if not found:
        raise UserError(f"{run} is neither a DVC experiment or git revision nor an MLflow run, by id or name")
    if len(found) > 1:
        ids = ", ".join(one.info.run_id for one in found)
        raise UserError(f"{run} is the name of {len(found)} MLflow runs; choose one by its id: {ids}")
    try:
        return Path(client.download_artifacts(found[0].info.run_id, PREDICTOR, str(folder))) / "model.h5"
    except (MlflowException, OSError) as error:
        raise UserError(f"the MLflow run {run} holds no model to predict with; it was not evaluated") from error


def seconds_per_epoch(model_md5: str) -> float | None:
    """Of the fastest epoch of the run that trained the model of that hash; None when no run knows.

    Whatever else the machine does only makes an epoch longer.
    """
    client, experiment_id = _connect()
    found = client.search_runs([experiment_id], f"tags.{MODEL} = '{model_md5}'")
    points = client.get_metric_history(found[0].info.run_id, "loss") if found else []
    times = pd.Series(sorted(point.timestamp for point in points)).diff()
    between = times[times > 0]  # epochs that were restored from a checkpoint were logged together
    return round(float(between.min()) / 1000, 2) if len(between) else None


@contextmanager
def open_run(params: Params, key: str) -> Iterator[Run]:
    """The experiment's run, marked as finished or failed when the block ends.

    Raises:
        UserError: the tracking server does not answer.
    """
    run = Run(params, key)
    try:
        yield run
    except BaseException:
        run.finish("FAILED")
        raise
    run.finish()


def _connect() -> tuple[mlflow.MlflowClient, str]:
    """Reaches the store, by default SQLite at the repository root, which `mlflow ui` shows without flags."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root() / 'mlflow.db').as_posix()}"
    # A working copy of `dvc exp run --temp` is thrown away: artifacts of a local store go to the repository too.
    location = None if uri.startswith(("http:", "https:", "databricks")) else (root() / "mlruns").as_uri()
    mlflow.set_tracking_uri(uri)
    try:
        with _lock(), _environment(PROBE):
            client = mlflow.MlflowClient()
            experiment = client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                return client, client.create_experiment(EXPERIMENT, location)
    except (MlflowException, OSError) as error:
        raise UserError(
            f"MLFLOW_TRACKING_URI: cannot use the MLflow store at {uri}: {error}\n"
            "start that server, or unset MLFLOW_TRACKING_URI to use mlflow.db in the repository"
        ) from error
    if experiment.lifecycle_stage == "deleted":
        raise UserError(
            f"MLflow's experiment {EXPERIMENT!r} is deleted; bring it back: "
            f"mlflow experiments restore -x {experiment.experiment_id}"
        )
    return client, experiment.experiment_id


def _lock() -> FileLock:
    """Two queue workers must not both make the database, the experiment or the run."""
    folder = root() / ".dvc" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "mlflow.lock")


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


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
