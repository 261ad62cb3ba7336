"""The SQLite file of a store: made whole or not at all, known for what it is, its artifacts beside it."""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import mlflow
from alembic.script import ScriptDirectory
from filelock import FileLock
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from src.core.files import replacing, root

EXPERIMENT = "face-emotions"
AGAIN = "move it away, and `make mlflow-sync` makes a new one with every run"
PATIENCE = 20  # seconds for which MLflow itself waits for a locked database

# Where a store says in which folder something lies.
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)


class Unusable(Exception):
    """What the file is, in a line, and the command that mends it."""


def uri(path: Path) -> str:
    """For MLflow, which would take `sqlite:///` as a reason to make the folder, under its name with escapes."""
    return f"sqlite+pysqlite:///{path.as_posix().replace('%', '%25').replace('?', '%3F')}"


def artifacts(path: Path) -> Path:
    """The folder of what runs in that database hold."""
    return path.parent / "mlruns"


def ready(path: Path, wait: float) -> None:
    """Makes the database if there is none; looks at it and at where it says its artifacts are, if there is one.

    Args:
        wait: seconds for another process that does the same.

    Raises:
        Unusable: it is none of the installed MLflow's, or not complete.
        UserError, OSError, sqlite3.Error: it cannot be read or written.
    """
    if not path.is_dir() and (not path.exists() or not path.stat().st_size):
        with _alone(path, wait):
            if not path.exists() or not path.stat().st_size:
                _make(path)
    check(path)
    if _carried(path):
        with _alone(path, wait):
            _take_along(path)


def check(path: Path) -> None:
    """Raises Unusable unless the installed MLflow can use the database as it is."""
    if path.is_dir():
        raise Unusable(f"{path} is a folder where MLflow's database should be: {AGAIN}")
    try:
        with _opened(path) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            version = ""
            if "alembic_version" in tables:
                version = "".join(found for (found,) in database.execute("SELECT version_num FROM alembic_version"))
            empty = "experiments" in tables and not database.execute("SELECT 1 FROM experiments").fetchone()
    except sqlite3.OperationalError:
        raise  # it is locked, or cannot be opened: nothing is wrong with what is in it
    except sqlite3.DatabaseError as error:
        raise Unusable(f"{path} is no SQLite database, or a damaged one ({error}): {AGAIN}") from error
    newest, known = _versions()
    if version == newest:
        return
    if "experiments" not in tables:
        raise Unusable(f"{path} is a SQLite database, but none of MLflow's: {AGAIN}")
    if version and version not in known:
        raise Unusable(
            f"{path} was written by a newer MLflow (schema {version}) than {mlflow.__version__}, which is installed: "
            f"install that one, or {AGAIN}"
        )
    if empty:  # the last thing MLflow writes into a new database is its first experiment
        raise Unusable(f"{path} is half made, as it is when MLflow is killed over it, and holds no run: {AGAIN}")
    upgrade = shlex.join(["mlflow", "db", "upgrade", f"sqlite:///{path}"])
    raise Unusable(
        f"{path} was written by an older MLflow (schema {version or 'unknown'}): copy it, then `{upgrade}`; "
        f"if that fails, {AGAIN}"
    )


@cache
def _versions() -> tuple[str, set[str]]:
    """The newest schema that the installed MLflow knows, and all of them."""
    scripts = ScriptDirectory.from_config(_get_alembic_config(db_url=""))
    newest = scripts.get_current_head()
    assert newest is not None
    return newest, {script.revision for script in scripts.walk_revisions()}


def _make(path: Path) -> None:
    """MLflow makes a database step by step, and can use none that it did not finish: so under another name."""
    with replacing(path) as temporary:
        temporary.with_name(f"{temporary.name}-journal").unlink(missing_ok=True)  # of one that was killed
        SqlAlchemyStore(uri(temporary), artifacts(path).as_uri()).engine.dispose()


def _carried(path: Path) -> str:
    """Where MLflow looks for the artifacts, if the project was moved or copied since; otherwise "".

    They are left where somebody put them on purpose: anywhere but a folder `mlruns`, in one that is still there
    without a database beside it, or in this repository's.
    """
    with _opened(path) as database:
        query = "SELECT experiment_id, coalesce(artifact_location, '') FROM experiments WHERE name = ?"
        number, location = database.execute(query, [EXPERIMENT]).fetchone() or (0, "")
        if location.endswith(f"/mlruns/{number}"):  # as MLflow itself chooses it
            location = location.removesuffix(f"/{number}")
        was = _folder(location)
        if was is None or was.name != "mlruns":
            return ""
        if os.path.realpath(was) in map(os.path.realpath, (artifacts(path), root() / "mlruns")):
            return ""
        gone, copied = not os.path.lexists(was.parent), os.path.lexists(was.parent / path.name)
        uris = [text for (text,) in database.execute("SELECT artifact_uri FROM runs")]
    here = (artifacts(path) / text[len(location) + 1 :] for text in uris if text.startswith(f"{location}/"))
    return location if gone or copied or any(folder.exists() for folder in here) else ""


def _folder(location: str) -> Path | None:
    """The local folder of that URI or path; None when it is elsewhere."""
    return Path(local_file_uri_to_path(location)) if location and is_local_uri(location) else None


def _take_along(path: Path) -> None:
    """Lets everything that lay in the `mlruns` of before lie in the one beside the database: in one transaction."""
    if not (location := _carried(path)):  # another process was sooner
        return
    was, now = _folder(location), artifacts(path)
    assert was is not None  # or it would not be carried
    # MLflow has both spellings, and the one that somebody gave it.
    spellings = {location: now.as_uri(), was.as_uri(): now.as_uri(), str(was): str(now)}
    with _opened(path) as database:
        for table, column in PLACES:
            for old, new in spellings.items():
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608  names of ours, in PLACES
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    [new, len(old) + 1, old, len(old) + 1, f"{old}/"],
                )


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on a database that is there."""
    database = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=PATIENCE)
    try:
        with database:
            yield database
    finally:
        database.close()


def _alone(path: Path, wait: float) -> FileLock:
    """Beside the database, since more than one repository may share it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{path}.lock", timeout=wait)
