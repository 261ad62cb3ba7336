"""The trained model in MLflow: logged so that it can be served, and fetched again to predict with."""

from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
from mlflow.entities import Run as Entity

from src.core.files import digest
from src.errors import UserError
from src.tracking import connection
from src.tracking.connection import EXPERIMENT, UPLOAD, Store, StoreError
from src.tracking.run import Run

PREDICTOR = "predictor"  # artifacts: model.h5 and the files beside it, what `python -m src.predict --run` needs
MODEL_MD5 = "model_md5"  # as in dvc.lock, so that a run is found from a commit too
CARRIED = "code"  # a logged model's tag: the package that it carries, which those of earlier versions do not


def log_model(run: Run, path: Path) -> None:
    """Logs the model with its calibration, as one that MLflow can serve, unless these very bytes are logged already.

    Another calibration comes with other scores, and so with another run.
    """
    actual = digest(path, "md5")
    with run.alone() as entity:
        if entity.data.tags.get(MODEL_MD5) == actual:
            return
    with TemporaryDirectory() as folder, run.alone(UPLOAD) as entity:
        if entity.data.tags.get(MODEL_MD5) == actual:  # another process was sooner
            return
        # One that was killed before it was tagged, or the model of other bytes.
        for old in run.client.search_logged_models([run.experiment], f"source_run_id = '{run.id}'"):
            run.client.delete_logged_model(old.model_id)
        _log_model(run, entity, path, Path(folder))
        run.tag(entity, {MODEL_MD5: actual})


def _log_model(run: Run, entity: Entity, path: Path, folder: Path) -> None:
    """As `mlflow.pyfunc.log_model`, which would also load the model and predict with it, in seconds."""
    import mlflow.pyfunc
    from mlflow.models import Model

    from src.predict.predictor import beside
    from src.tracking import carried

    weights = folder / "data"
    weights.mkdir()
    for file in (path, *beside(path)):
        (weights / file.name).write_bytes(file.read_bytes())
    package = carried.code(folder)
    logged = run.client.create_logged_model(
        run.experiment, EXPERIMENT, run.id, tags={CARRIED: package.name}, params=dict(entity.data.params)
    )
    mlflow.pyfunc.save_model(
        folder / "model",
        loader_module=carried.loader(package),
        data_path=str(weights),
        code_paths=[str(package)],
        mlflow_model=Model(logged.artifact_location, run.id, model_uuid=logged.model_id, model_id=logged.model_id),
        signature=carried.signature(),
        input_example=carried.example(),
        pip_requirements=carried.requirements(),
    )
    run.client.log_model_artifacts(logged.model_id, str(folder / "model"))
    run.client.log_outputs(run.id, [LoggedModelOutput(logged.model_id, step=0)])
    # MLflow's table of models shows the scores that it knows to be theirs, on which data.
    data = run.data
    run.client.log_batch(
        run.id,
        [
            Metric(one.key, one.value, one.timestamp, one.step, logged.model_id, data.name, data.digest)
            for one in entity.data.to_proto().metrics
            if one.step == 0
        ],
    )
    run.client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)


def download_model(name: str, folder: Path) -> Path:
    """model.h5 of the run with that id or name, with its calibration.json, in `folder`.

    Raises:
        UserError: there is no such run, there are several, or it was never evaluated.
    """
    neither = f"{name} is neither a DVC experiment or git revision nor an MLflow run, by id or name"
    with connection.talking() as store:
        client, runs = found_runs(store, *called(name))
        if client is not None and len(runs) == 1 and client.list_artifacts(runs[0].info.run_id, PREDICTOR):
            return Path(client.download_artifacts(runs[0].info.run_id, PREDICTOR, str(folder))) / "model.h5"
    the_only(runs, name, neither)
    raise UserError(f"the MLflow run {name} holds no model to predict with; it was not evaluated")


def called(name: str) -> tuple[str, str]:
    """Conditions for `found_runs`: the run with that id, or with that name."""
    quoted = name.replace("'", "")
    return f"attributes.run_id = '{quoted}'", f"attributes.run_name = '{quoted}'"


def found_runs(store: Store, *conditions: str) -> tuple[MlflowClient | None, list[Entity]]:
    """The experiment's runs for which any of the conditions holds, with the client that found them; reads only."""
    if store.database and not store.database.exists():
        return None, []
    client = connection.client(store)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    where = [experiment.experiment_id] if experiment else []
    return client, [run for condition in conditions for run in client.search_runs(where, condition)] if where else []


def the_only(runs: list[Entity], name: str, none: str) -> Entity:
    """The one run of the list.

    Raises:
        StoreError: it is empty (`none` says so), or has more than one.
    """
    if not runs:
        raise StoreError(none)
    if len(runs) > 1:
        ids = ", ".join(run.info.run_id for run in runs)
        raise StoreError(f"{name} is the name of {len(runs)} MLflow runs; choose one by its id: {ids}")
    return runs[0]
