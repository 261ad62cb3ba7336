"""The trained model in MLflow: logged with its signature, and fetched again to predict with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run as Entity

from src import identity, plain_yaml
from src.core.files import digest
from src.errors import UserError
from src.tracking import connection
from src.tracking.connection import UPLOAD
from src.tracking.run import Run

PREDICTOR = "predictor"  # artifacts: model.h5 and calibration.json, what `python -m src.predict --run` needs
MODEL_MD5 = "model_md5"  # as in dvc.lock, so that a run is found from a commit too


def log_model(run: Run, path: Path) -> None:
    """Logs the model with signature and input example, unless these very bytes are logged already."""
    actual = digest(path, "md5")
    with run.alone() as entity:
        if entity.data.tags.get(MODEL_MD5) == actual:
            return
    import numpy as np  # TensorFlow takes seconds to import, and most callers find the model logged
    from mlflow.models import infer_signature
    from mlflow.tensorflow import log_model as log_keras_model

    from src.model import saved

    model, _ = saved.load(path)
    size = run.params.data.input_size
    example = np.full((1, size, size, 1), 0.5, np.float32)  # grey: no face of the data set leaves it this way
    signature = infer_signature(example, model.predict(example, verbose=0))
    versions = plain_yaml.read(Path(identity.LIBRARIES))  # not those that are installed by now
    packages = [f"{name}=={versions[name]}" for name in ("keras", "numpy", "tensorflow")]
    with run.alone(UPLOAD) as entity, connection.environment({"MLFLOW_TRACKING_URI": run.store.uri}):
        if entity.data.tags.get(MODEL_MD5) == actual:  # another process was sooner
            return
        # One that was killed before it was tagged, or the model of other bytes.
        for old in run.client.search_logged_models([run.experiment], f"source_run_id = '{run.id}'"):
            run.client.delete_logged_model(old.model_id)
        with mlflow.start_run(run_id=run.id):
            log_keras_model(model, name="model", signature=signature, input_example=example, pip_requirements=packages)
        run.tag(entity, {MODEL_MD5: actual})


def download_model(name: str, folder: Path) -> Path:
    """model.h5 of the run with that id or name, with its calibration.json, in `folder`.

    Raises:
        UserError: there is no such run, there are several, or it was never evaluated.
    """
    quoted = name.replace("'", "")
    with _runs(f"attributes.run_id = '{quoted}'", f"attributes.run_name = '{quoted}'") as (client, entities):
        ids = [one.info.run_id for one in entities]
        if client is not None and len(ids) == 1 and client.list_artifacts(ids[0], PREDICTOR):
            return Path(client.download_artifacts(ids[0], PREDICTOR, str(folder))) / "model.h5"
    if not ids:
        raise UserError(f"{name} is neither a DVC experiment or git revision nor an MLflow run, by id or name")
    if len(ids) > 1:
        raise UserError(f"{name} is the name of {len(ids)} MLflow runs; choose one by its id: {', '.join(ids)}")
    raise UserError(f"the MLflow run {name} holds no model to predict with; it was not evaluated")


@contextmanager
def _runs(*conditions: str) -> Iterator[tuple[MlflowClient | None, list[Entity]]]:
    """The experiment's runs for which any of the conditions holds, with the client that found them."""
    with connection.talking() as place:
        if place.database and not place.database.exists():
            yield None, []
            return
        client = connection.client(place)
        experiment = client.get_experiment_by_name(connection.EXPERIMENT)
        where = [experiment.experiment_id] if experiment else []
        yield client, [run for condition in conditions for run in client.search_runs(where, condition)] if where else []
