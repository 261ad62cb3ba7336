"""The model that is served: MLflow's alias `champion` of the registered model."""

import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus
from mlflow.entities import Run as Entity
from mlflow.entities.model_registry import ModelVersion

from src.core.files import digest
from src.errors import UserError
from src.tracking import connection
from src.tracking.connection import EXPERIMENT, UPLOAD, Store, StoreError
from src.tracking.log import TEST_SET
from src.tracking.model import CARRIED, MODEL_MD5, called, found_runs, the_only

REGISTERED, ALIAS = EXPERIMENT, "champion"
METRIC = "scores/accuracy"


class Scored(NamedTuple):
    """A run by what decides."""

    run: str  # its id
    accuracy: float
    data_sha256: str
    test_set: str


def challenge(name: str | None, model: Path) -> str:
    """Makes a run's model the champion if it is more accurate than the present one.

    Args:
        name: the run's, or its id; the run that trained `model` if None.
        model: models/model.h5.

    Returns:
        In a line, which is the champion now, and why.

    Raises:
        StoreError: there is no such run, it holds no model to serve, or the two were not scored on the same images.
        UserError: there is no `model`.
    """
    if name is None and not model.is_file():
        raise UserError(f"{model} does not exist; train one: dvc repro; or name a run of MLflow's")
    conditions = called(name) if name else (f"tags.{MODEL_MD5} = '{digest(model, 'md5')}'",)
    none = f"{name} is no MLflow run, by id or name" if name else f"no MLflow run trained {model}: make mlflow-sync"
    with connection.talking(UPLOAD) as store, connection.alone(ALIAS, UPLOAD):
        client, runs = found_runs(store, *conditions)
        challenger = _scored(the_only(runs, name or str(model), none))
        assert client is not None  # it found the run
        champion = _champion(client)
        if champion is None:
            version = _promote(store, client, challenger.run)
            return f"{_version(version)} is the champion, the first one, with an accuracy of {challenger.accuracy:.4f}"
        held = _held(client, champion)
        if held.run == challenger.run:
            return f"{_version(champion)} is the champion already, with an accuracy of {held.accuracy:.4f}"
        _check_comparable(challenger, held, champion)
        if not challenger.accuracy > held.accuracy:
            return (
                f"{_version(champion)} stays the champion: its accuracy is {held.accuracy:.4f}, "
                f"that of the run {challenger.run} {challenger.accuracy:.4f}"
            )
        version = _promote(store, client, challenger.run)
        return (
            f"{_version(version)} is the champion now: its accuracy is {challenger.accuracy:.4f}, "
            f"that of version {champion.version} {held.accuracy:.4f}"
        )


def _scored(run: Entity) -> Scored:
    if METRIC not in run.data.metrics or TEST_SET not in run.data.tags:
        raise StoreError(
            f"the MLflow run {run.info.run_id} does not say how accurate it is on which images; "
            "evaluate it: dvc repro; and if it was: make mlflow-sync"
        )
    tags = run.data.tags
    return Scored(run.info.run_id, run.data.metrics[METRIC], tags["data_sha256"], tags[TEST_SET])


def _champion(client: MlflowClient) -> ModelVersion | None:
    registered = client.search_registered_models(f"name = '{REGISTERED}'")
    if not registered or ALIAS not in registered[0].aliases:
        return None
    return client.get_model_version(REGISTERED, str(registered[0].aliases[ALIAS]))


def _held(client: MlflowClient, champion: ModelVersion) -> Scored:
    """What the champion's run says; also of a run that was deleted, as one is that other numbers have replaced."""
    if not champion.run_id:
        raise StoreError(
            f"{_version(champion)}, the champion, comes from no run, so nothing is known to compare with; "
            f"give the alias back first: {_take_back()}"
        )
    return _scored(client.get_run(champion.run_id))


def _check_comparable(challenger: Scored, held: Scored, champion: ModelVersion) -> None:
    for what, one, other in (
        ("data", challenger.data_sha256[:8], held.data_sha256[:8]),
        ("images", challenger.test_set, held.test_set),
    ):
        if one != other:
            raise StoreError(
                f"{_version(champion)}, the champion, was scored on other {what} ({other}) than the run "
                f"{challenger.run} ({one}), so which is better is not known; to start anew: {_take_back()}"
            )


def _promote(store: Store, client: MlflowClient, run: str) -> ModelVersion:
    """Gives the alias to the run's model, which becomes a version if it is none yet."""
    experiment = client.get_run(run).info.experiment_id
    models = client.search_logged_models([experiment], f"source_run_id = '{run}'")
    ready = [one for one in models if one.status == LoggedModelStatus.READY and CARRIED in one.tags]
    if not ready:
        raise StoreError(
            f"the MLflow run {run} holds no model that can be served; if it is of an earlier version, delete the run, "
            "and `make mlflow-sync` logs it again"
        )
    source = f"models:/{ready[0].model_id}"
    versions = client.search_model_versions(f"name = '{REGISTERED}'")
    version = next((one for one in versions if one.source == source), None)
    if version is None:
        # MLflow says what it does, and reads from the environment where.
        with connection.environment({"MLFLOW_TRACKING_URI": store.uri}), redirect_stderr(io.StringIO()):
            version = mlflow.register_model(source, REGISTERED)
    client.set_registered_model_alias(REGISTERED, ALIAS, str(version.version))
    return version


def _version(version: ModelVersion) -> str:
    return f"{REGISTERED} version {version.version}"


def _take_back() -> str:
    code = f"import mlflow; mlflow.MlflowClient().delete_registered_model_alias('{REGISTERED}', '{ALIAS}')"
    return f'python -c "{code}"'
