"""Where runs and their artifacts are, and stay, when projects move and stores are named in every way."""

import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from src import tracking
from src.errors import UserError
from tests.tracking.conftest import HISTORY, LOAD, client, python, runs


def evaluated(settings, key: str, database: Path) -> str:
    """Logs a run with a model to predict with; returns its id."""
    model = Path("model.h5")
    model.write_text(key)
    with tracking.open_run(settings, key) as run:
        run.log_history(HISTORY)
        client(database).log_artifact(run.id, str(model), "predictor")
        return run.id


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def stored(database: Path) -> str:
    """Everything in the database that is text."""
    with sqlite3.connect(database) as connection:
        return "\n".join(connection.iterdump())


@pytest.mark.parametrize("name", ["moved", "100% sad? #2 ä"])
def test_in_a_project_that_was_moved_old_runs_are_found_and_new_ones_stay_in_it(
    name, store, settings, tmp_path, monkeypatch
):
    old = evaluated(settings, "old", store / "mlflow.db")
    experiment = client(store / "mlflow.db").get_experiment_by_name(tracking.EXPERIMENT).experiment_id
    client(store / "mlflow.db").create_logged_model(experiment, name="model", source_run_id=old)
    moved = tmp_path / name
    store.rename(moved)
    monkeypatch.setenv("DVC_ROOT", str(moved))
    monkeypatch.chdir(moved)
    new = evaluated(settings, "new", moved / "mlflow.db")
    for run, key in ((old, "old"), (new, "new")):
        assert tracking.download_model(run, tmp_path).read_text() == key
    assert len(list(moved.glob("mlruns/*/artifacts/predictor/model.h5"))) == 2
    assert str(store) not in stored(moved / "mlflow.db")
    assert not store.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["predictor", name])


def test_a_copy_of_a_project_keeps_its_runs_to_itself(store, settings, tmp_path, monkeypatch):
    old = evaluated(settings, "old", store / "mlflow.db")
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    before = contents(store)
    monkeypatch.setenv("DVC_ROOT", str(copy))
    # In a process of its own, since MLflow remembers where a run's artifacts are.
    log = f"{LOAD}\nwith tracking.open_run(p, 'old') as run: run.log_environment(dict(a='b'))"
    _, said = python(log, copy).communicate(timeout=60)
    assert (copy / f"mlruns/{old}/artifacts/environment.json").exists(), said
    assert contents(store) == before


@pytest.mark.parametrize("location", ["s3://faces/mlruns", "{}/shelf/mlruns", "{}/shelf/artifacts"])
def test_artifacts_that_somebody_put_elsewhere_on_purpose_stay_there(location, store, settings, tmp_path):
    (tmp_path / "shelf/mlruns").mkdir(parents=True)
    location = location.format(tmp_path)
    client(store / "mlflow.db").create_experiment(tracking.EXPERIMENT, location)
    with tracking.open_run(settings, "k"):
        pass
    (run,) = runs(client(store / "mlflow.db"))
    assert run.info.artifact_uri == f"{location}/{run.info.run_id}/artifacts"


@pytest.mark.parametrize(
    "uri",
    ["sqlite:///tutorial.db", "sqlite:///./tutorial.db", "sqlite+pysqlite:///tutorial.db", "sqlite:///{}/tutorial.db"],
)
def test_a_relative_store_is_relative_to_the_repository_not_to_a_copy_that_is_thrown_away(
    uri, store, settings, tmp_path, monkeypatch
):
    (store / "mlflow.db").rename(store / "tutorial.db")
    shutil.copytree(store, tmp_path / "thrown-away", ignore=shutil.ignore_patterns("*.db"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(store))
    monkeypatch.chdir(tmp_path / "thrown-away")
    run = evaluated(settings, "k", store / "tutorial.db")
    assert (store / f"mlruns/{run}/artifacts/predictor/model.h5").exists()
    assert sorted(path.name for path in (tmp_path / "thrown-away").iterdir()) == ["dvc.yaml", "metrics", "model.h5"]


def test_artifacts_of_a_database_elsewhere_lie_beside_it(repository, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere/its.db")
    run = evaluated(settings, "k", tmp_path / "elsewhere/its.db")
    assert (tmp_path / f"elsewhere/mlruns/{run}/artifacts/predictor/model.h5").exists()
    assert not (repository / "mlruns").exists()


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:mlruns", "file:./mlruns"])
def test_a_folder_as_store_is_refused_with_mlflows_reason_unless_it_is_allowed(
    uri, repository, settings, tmp_path, monkeypatch
):
    shutil.copytree(repository, tmp_path / "thrown-away")
    monkeypatch.chdir(tmp_path / "thrown-away")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    says = r"MLFLOW_TRACKING_URI: .*in maintenance mode.*MLFLOW_ALLOW_FILE_STORE"
    with pytest.raises(UserError, match=says) as raised:
        tracking.run.Run(settings, "k")
    assert "\n" not in str(raised.value)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    with tracking.open_run(settings, "k") as run:
        run.log_history(HISTORY)
    assert (repository / "mlruns").is_dir()
    assert {path.name for path in (tmp_path / "thrown-away").iterdir()} == {"dvc.yaml", "metrics"}


@pytest.mark.parametrize(
    "uri", ["sqlite:/x.db", "htp://server", "sqlite:mlflow.db", "postgresql://u:secret@127.0.0.1:9/db"]
)
def test_a_store_that_mlflow_cannot_reach_is_one_line_without_the_password(uri, repository, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match="MLFLOW_TRACKING_URI: ") as raised:
        tracking.prepare()
    assert not re.search("\n|secret", str(raised.value))
    assert {path.name for path in repository.iterdir()} == {"dvc.yaml", "metrics"}
