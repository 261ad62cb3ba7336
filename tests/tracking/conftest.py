"""A repository of its own for the real MLflow, and what runs in it."""

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from src import params, tracking
from src.tracking.database import uri
from tests.conftest import HERE

HISTORY = [{"accuracy": 0.1, "loss": 2.0}, {"accuracy": 1 / 3, "loss": 1.5}]
LOAD = f"from src import params, tracking; p = params.load(params.Path({str(HERE / 'params.yaml')!r}))"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> bytes:
    """An empty, migrated database: making one takes seconds."""
    path = tmp_path_factory.mktemp("db") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """As a stage sees it, without a database."""
    folder = tmp_path / "repository"
    (folder / "metrics").mkdir(parents=True)
    (folder / "metrics" / "preprocess.json").write_text('{"data_sha256": "abc"}')
    for name in [name for name in os.environ if name.startswith("MLFLOW_") and name != "MLFLOW_DISABLE_TELEMETRY"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def store(repository, migrated) -> Path:
    (repository / "mlflow.db").write_bytes(migrated)
    return repository


@pytest.fixture
def settings():
    return params.load(HERE / "params.yaml")


def client(database: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(uri(database))


def runs(client: mlflow.MlflowClient) -> list:
    return client.search_runs([client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id])


def points(client: mlflow.MlflowClient, run_id: str, metric: str) -> list:
    return [(point.step, point.value) for point in client.get_metric_history(run_id, metric)]


def python(code: str, cwd: Path, *arguments: str, **options) -> subprocess.Popen:
    """A process of its own that can import what is tested."""
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(
        command, env=environment, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, **options,
    )  # fmt: skip
