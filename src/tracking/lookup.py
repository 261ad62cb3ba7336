"""What runs know, for those who only read: nothing is made, also no database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from src.errors import UserError
from src.tracking import store
from src.tracking.run import ENVIRONMENT, MODEL, PREDICTOR


def environment_of(model_md5: str) -> dict[str, str]:
    """The environment in which the model of that hash was trained; empty when no run knows it."""
    with _runs(f"tags.{MODEL} = '{model_md5}'") as (client, found), TemporaryDirectory() as folder:
        for run in found[:1]:
            if ENVIRONMENT in {artifact.path for artifact in client.list_artifacts(run.info.run_id)}:
                path = Path(client.download_artifacts(run.info.run_id, ENVIRONMENT, folder))
                return json.loads(path.read_text(encoding="utf-8"))
        return {}


def seconds_per_epoch(model_md5: str) -> float | None:
    """Of the fastest epoch of the run that trained the model of that hash; None when no run knows.

    Whatever else the machine does only makes an epoch longer.
    """
    with _runs(f"tags.{MODEL} = '{model_md5}'") as (client, found):
        points = client.get_metric_history(found[0].info.run_id, "loss") if found else []
    times = pd.Series(sorted(point.timestamp for point in points)).diff()
    between = times[times > 0]  # epochs that were restored from a checkpoint were logged together
    return round(float(between.min()) / 1000, 2) if len(between) else None


def download_model(run: str, folder: Path) -> Path:
    """model.h5 of the run with that id or name, with its calibration.json, in `folder`.

    Raises:
        UserError: there is no such run, there are several, or it was never evaluated.
    """
    quoted = run.replace("'", "")
    with _runs(f"attributes.run_id = '{quoted}'", f"attributes.run_name = '{quoted}'") as (client, found):
        ids = [one.info.run_id for one in found]
        if len(ids) == 1 and client.list_artifacts(ids[0], PREDICTOR):
            return Path(client.download_artifacts(ids[0], PREDICTOR, str(folder))) / "model.h5"
    if not ids:
        raise UserError(f"{run} is neither a DVC experiment or git revision nor an MLflow run, by id or name")
    if len(ids) > 1:
        raise UserError(f"{run} is the name of {len(ids)} MLflow runs; choose one by its id: {', '.join(ids)}")
    raise UserError(f"the MLflow run {run} holds no model to predict with; it was not evaluated")


@contextmanager
def _runs(*conditions: str) -> Iterator[tuple[MlflowClient | None, list[Run]]]:
    """The experiment's runs for which any of the conditions holds, with the client that found them."""
    with store.talking() as place:
        if place.database and not place.database.exists():
            yield None, []
            return
        client = store.client(place)
        experiment = client.get_experiment_by_name(store.EXPERIMENT)
        where = [experiment.experiment_id] if experiment else []
        yield client, [run for condition in conditions for run in client.search_runs(where, condition)] if where else []
