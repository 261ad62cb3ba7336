"""The real MLflow, on stores of its own."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mlflow
import pytest

from src import params, tracking
from src.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
HISTORY = [{"accuracy": 0.1, "loss": 2.0}, {"accuracy": 1 / 3, "loss": 1.5}]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> bytes:
    """An empty, migrated database: making one takes seconds."""
    path = tmp_path_factory.mktemp("db") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture
def store(tmp_path, monkeypatch, migrated) -> Path:
    (tmp_path / "mlflow.db").write_bytes(migrated)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "preprocess.json").write_text('{"data_sha256": "abc"}')
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings():
    return params.load(ROOT / "params.yaml")


def runs() -> list:
    client = mlflow.MlflowClient()
    return client.search_runs([client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id])


def points(run_id: str, metric: str) -> list:
    return [(point.step, point.value) for point in mlflow.MlflowClient().get_metric_history(run_id, metric)]


def test_a_run_holds_every_param_and_the_very_floats(store, settings):
    with tracking.open_run(settings, "k") as run:
        run.log_history(HISTORY)
    (found,) = runs()
    assert found.info.status == "FINISHED"
    assert found.data.params["augmentation.zoom"] == "0.2"
    assert found.data.params["datasets.ai.labels.fear"] == "5121"
    assert found.data.tags["source"] == "rendered"
    assert found.data.tags["data_sha256"] == "abc"
    assert points(found.info.run_id, "accuracy") == [(1, 0.1), (2, 1 / 3)]


def test_going_on_or_running_again_logs_no_step_twice(store, settings):
    for length in (1, 2, 2):
        with tracking.open_run(settings, "k") as run:
            run.log_history(HISTORY[:length])
    (found,) = runs()
    assert points(found.info.run_id, "loss") == [(1, 2.0), (2, 1.5)]


def test_other_numbers_for_the_same_experiment_replace_its_run(store, settings):
    with tracking.open_run(settings, "k") as run:
        run.log_history(HISTORY)
    changed = [HISTORY[0], {"accuracy": 0.5, "loss": float("nan")}]
    with tracking.open_run(settings, "k") as run:
        run.log_history(changed)
    (found,) = runs()
    assert points(found.info.run_id, "accuracy") == [(1, 0.1), (2, 0.5)]


def test_a_failure_marks_the_run_and_the_next_try_continues_it(store, settings):
    with pytest.raises(RuntimeError), tracking.open_run(settings, "k"):
        raise RuntimeError
    assert [run.info.status for run in runs()] == ["FAILED"]
    with tracking.open_run(settings, "k"):
        assert [run.info.status for run in runs()] == ["RUNNING"]
    assert [run.info.status for run in runs()] == ["FINISHED"]


def test_a_server_that_does_not_answer_is_an_error_that_names_it(store, settings, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"MLFLOW_TRACKING_URI.*127\.0\.0\.1:9.*"):
        tracking.Run(settings, "k")


def test_processes_that_start_together_make_one_database_one_experiment_and_a_run_each(store):
    (store / "mlflow.db").unlink()
    code = (
        "import sys; from pathlib import Path; from src import params, tracking\n"
        f"p = params.load(Path({str(ROOT / 'params.yaml')!r}))\n"
        "with tracking.open_run(p, sys.argv[1]) as run: run.log_history([{'loss': 1.0}])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen([sys.executable, "-c", code, key], env=environment, cwd=store, stderr=subprocess.PIPE)
        for key in ("a", "b", "b")
    ]
    for process in started:
        assert process.wait(120) == 0, process.stderr.read().decode()
    mlflow.set_tracking_uri(f"sqlite:///{store / 'mlflow.db'}")
    assert Counter(run.data.tags[tracking.KEY] for run in runs()) == {"a": 1, "b": 1}
