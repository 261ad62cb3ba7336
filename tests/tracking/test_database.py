"""The SQLite file: whatever was done to it, MLflow works again or one line says what to do."""

import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from alembic import command
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine

from src import tracking
from src.errors import UserError
from src.tracking import database
from tests.conftest import HERE
from tests.tracking.conftest import client, python, runs

CONNECT = "from src import tracking; print('imported', flush=True); tracking.prepare()"
BARE = "import mlflow; print('imported', flush=True); mlflow.MlflowClient('sqlite:///mlflow.db')"


def killed(code: str, cwd: Path, moment) -> None:
    """Runs `code` and kills it as soon as `moment()` is true, if it is not through by then."""
    process = python(code, cwd, process_group=0)
    assert process.stdout.readline() == "imported\n", process.stderr.read()
    while process.poll() is None and not moment():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def written(folder: Path) -> int:
    """Bytes of the database that is being made; a complete one has 950,000."""
    return max((path.stat().st_size for path in folder.glob("*.db")), default=0) if folder.exists() else 0


def test_a_kill_over_the_making_of_the_database_leaves_nothing_that_is_in_the_way(repository):
    for _ in range(2):
        killed(CONNECT, repository, lambda: written(repository) > 300_000)
        assert not (repository / "mlflow.db").exists()
    tracking.prepare()
    assert [path.name for path in repository.iterdir() if ".part" in path.name] == []


@pytest.mark.slow
@pytest.mark.parametrize("uri", ["", "sqlite:///{}/elsewhere/its.db"])
def test_after_each_of_fifteen_kills_over_the_making_of_the_database_mlflow_works(uri, repository, monkeypatch):
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(repository))
    path = repository / "elsewhere/its.db" if uri else repository / "mlflow.db"
    caught = 0
    for number in range(15):
        killed(CONNECT, repository, lambda number=number: written(path.parent) > 60_000 * number)
        caught += not path.exists()
        tracking.prepare()
        assert runs(client(path)) == []
        path.unlink()
    assert caught >= 10, "it was hardly ever caught while it made the database"


def older(path: Path, content: bytes) -> None:
    """As MLflow's own migrations make it up to a revision of 2023."""
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    config = _get_alembic_config(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "7f2a7d5fae7d")
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO experiments VALUES (0, 'Default', './mlruns/0', 'active', 1, 1)")


def half_made(path: Path, content: bytes) -> None:
    killed(BARE, path.parent, lambda: written(path.parent) > 300_000)
    with sqlite3.connect(path) as connection:  # takes back what a transaction had begun, as reading does
        connection.execute("SELECT * FROM sqlite_master").fetchall()


def newer(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")


def of_something_else(path: Path, content: bytes) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE addresses (name TEXT)")


AWAY = "move it away, and `make mlflow-sync` makes a new one with every run"
BROKEN = {
    "a text file": (lambda path, content: path.write_text("a diary\n" * 100), f"is no SQLite database.*{AWAY}"),
    "a folder": (lambda path, content: path.mkdir(), f"is a folder where MLflow's database should be: {AWAY}"),
    "truncated": (lambda path, content: path.write_bytes(content[: len(content) // 2]), f"damaged.*malformed.*{AWAY}"),
    "overwritten": (lambda path, content: path.write_bytes(content[:100] + bytes(len(content))), f"damaged.*{AWAY}"),
    "half made": (half_made, f"is half made.*holds no run: {AWAY}"),
    "newer": (newer, f"newer MLflow \\(schema ffffffffffff\\) than .*: install that one, or {AWAY}"),
    "older": (older, "older MLflow \\(schema 7f2a7d5fae7d\\): copy it, then `mlflow db upgrade sqlite:///.*`; if that"),
    "of something else": (of_something_else, f"none of MLflow's: {AWAY}"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_mlflow_cannot_use_is_named_with_what_mends_it_and_left_alone(
    kind, repository, migrated, monkeypatch
):
    make, says = BROKEN[kind]
    path = repository / "mlflow.db"
    make(path, migrated)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(UserError, match=says) as raised:
        tracking.prepare()
    said = str(raised.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    assert not re.search("MLFLOW_|server", said)
    assert (path.read_bytes() if path.is_file() else b"") == before

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    with pytest.raises(UserError, match=f"^MLFLOW_TRACKING_URI: {re.escape(said)}$"):
        tracking.prepare()

    if upgrade := re.search("`(mlflow db upgrade .*?)`", said):
        subprocess.run(shlex.split(upgrade[1]), check=True, capture_output=True)
    else:
        path.rename(repository / "away")
    tracking.prepare()


@pytest.mark.parametrize("uri", ["", "sqlite:///mlflow.db"])
def test_an_empty_file_becomes_a_database(uri, repository, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    (repository / "mlflow.db").touch()
    tracking.prepare()
    assert runs(client(repository / "mlflow.db")) == []


@pytest.mark.parametrize("how", ["EXCLUSIVE", pytest.param("IMMEDIATE", marks=pytest.mark.slow)])  # MLflow waits 20 s
def test_a_database_that_another_process_locks_is_named_and_nothing_is_lost(how, store, settings, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 1)
    lock = f"import sqlite3; database = sqlite3.connect('mlflow.db'); database.execute('BEGIN {how}')"
    process = python(f"{lock}; print('locked', flush=True); input()", store)
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(UserError, match=r"mlflow\.db: .*is locked; another process works on it; wait") as raised:
        tracking.run.Run(settings, "k")
    assert "\n" not in str(raised.value)
    process.communicate("\n")
    tracking.run.Run(settings, "k")


def without_privileges(code: str, cwd: Path) -> subprocess.CompletedProcess:
    """Root may write everything, unless it gives that up."""
    command = [sys.executable, "-c", code]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_a_store_that_is_read_only_says_so_to_who_logs_and_can_be_read(there, repository, migrated):
    (repository / ".dvc/tmp").mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(HERE / name, repository)
    if there:
        (repository / "mlflow.db").write_bytes(migrated)
        (repository / "mlflow.db").chmod(0o444)
    repository.chmod(0o555)
    start = "from src import command, params, tracking; from pathlib import Path; command.run(lambda: "
    done = without_privileges(f"{start}tracking.open_run(params.load(), 'k').__enter__())", repository)
    assert done.returncode == 1, done.stderr
    why = "attempt to write a readonly database" if there else "Permission denied"
    assert re.fullmatch(f"error: .*mlflow\\.db: .*{why}; it or its folder is not yours to write\n", done.stderr)
    done = without_privileges(f"{start}tracking.download_model('x', Path()))", repository)
    assert done.stderr == "error: x is neither a DVC experiment or git revision nor an MLflow run, by id or name\n"
