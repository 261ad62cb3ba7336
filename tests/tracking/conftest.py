"""A repository of its own for the real MLflow, and what runs in it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

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
    shutil.copy(HERE / "dvc.yaml", folder)
    (folder / "metrics" / "preprocess.json").write_text('{"data_sha256": "abc", "images": 3}')
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


OPENING = 8  # requests until a training may begin, in an experiment that is there


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A real `mlflow server`, with its store in `folder`; gives its URI."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["mlflow", "server", "--port", str(port), "--workers", "1", "--backend-store-uri", "sqlite:///mlflow.db"],
        cwd=folder, env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{uri}/health")
                break
            except OSError:
                time.sleep(0.2)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Door(ThreadingHTTPServer):
    """Passes requests on to a server, unless it has an answer of its own.

    answer: (status, body) instead of the server's; (0, b"") to say nothing until the client gives up.
    after: so many requests more are passed on first.
    """

    daemon_threads = True

    def __init__(self, server: str):
        super().__init__(("127.0.0.1", 0), Visitor)
        self.behind, self.answer, self.after, self.passed = server, None, 0, []

    @classmethod
    @contextmanager
    def before(cls, server: str) -> Iterator["Door"]:
        with cls(server) as door:
            Thread(target=door.serve_forever, daemon=True).start()
            yield door
            door.shutdown()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Visitor(BaseHTTPRequestHandler):
    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "Transfer-Encoding" in self.headers:  # an empty file: no chunk but the last, b"0\r\n\r\n"
            assert self.rfile.read(5).startswith(b"0")
        door = self.server
        if door.answer and door.after <= 0:
            status, content = door.answer
            if not status:
                time.sleep(20)
                return
        else:
            door.after -= 1
            door.passed.append(f"{self.command} {self.path.partition('?')[0]}")
            left_out = ("host", "transfer-encoding")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
            request = urllib.request.Request(door.behind + self.path, body or None, headers, method=self.command)
            try:
                with urllib.request.urlopen(request) as reply:
                    status, content = reply.status, reply.read()
            except urllib.error.HTTPError as reply:
                status, content = reply.code, reply.read()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one

    def log_message(self, *arguments) -> None:
        pass
