"""The store that MLflow keeps runs in: where it is, how long it may take, and its errors, each in a line."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Error as SqliteError
from typing import NamedTuple

from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import get_uri_scheme
from sqlalchemy.engine import make_url

from src.core.files import root
from src.errors import UserError
from src.tracking import database, pages
from src.tracking.database import EXPERIMENT

for name in ("mlflow.store.db.utils", "urllib3.connectionpool"):  # they print what is also raised, with tracebacks
    logging.getLogger(name).setLevel(logging.CRITICAL)
logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # it prints what goes well

REASON = 600  # characters of what MLflow says; a server that is none of MLflow's may answer with a page


class StoreError(UserError):
    """MLflow does not take or give what it should: why, and what mends it, in a line."""


class Store(NamedTuple):
    """Where MLflow keeps runs."""

    uri: str  # as MLflow takes it; what is relative is relative to the repository
    named: bool  # by MLFLOW_TRACKING_URI
    database: Path | None = None  # if it is SQLite
    artifacts: str | None = None  # for a new experiment, unless the store chooses itself

    @property
    def shown(self) -> str:
        """For messages."""
        return str(self.database or _without_password(self.uri))


class Limits(NamedTuple):
    """What a server that is dead or hangs may cost; what the user has set for MLflow's requests wins."""

    requests: dict[str, str]
    lock: float  # seconds to wait for another process that logs the same run


QUICK = Limits({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}, 10)
UPLOAD = Limits({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}, 600)
# A server may ask to come back in an hour.
ALWAYS = {"MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false"}
# Nobody would notice that a connection which is kept open leads to a file that was deleted.
SQLITE = {"MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool"}

LOGIN = ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED")


def where() -> Store:
    """The store of MLFLOW_TRACKING_URI; by default mlflow.db in the repository, which `mlflow ui` shows without flags.

    `dvc exp run --temp` works in a copy that is thrown away, so a relative one is relative to the repository.

    Raises:
        sqlalchemy.exc.ArgumentError: it is no URI of a database.
    """
    chosen = os.environ.get("MLFLOW_TRACKING_URI", "")
    scheme = get_uri_scheme(chosen)
    if not chosen:
        return _sqlite(root() / "mlflow.db", named=False)
    if scheme == "sqlite":
        url = make_url(chosen)
        if url.query or url.database in (None, "", ":memory:"):
            return Store(chosen, named=True)
        return _sqlite(root() / url.database, named=True)
    if scheme in DATABASE_ENGINES:
        return Store(chosen, named=True, artifacts=(root() / "mlruns").as_uri())
    if scheme == "file" or (not scheme and chosen not in ("databricks", "databricks-uc", "uc")):
        return Store((root() / local_file_uri_to_path(chosen)).resolve().as_uri(), named=True)
    return Store(chosen, named=True)


def _sqlite(path: Path, named: bool) -> Store:
    path = path.resolve()
    return Store(database.uri(path), named, path, database.artifacts(path).as_uri())


@contextmanager
def talking(limits: Limits = QUICK) -> Iterator[Store]:
    """Gives the store; whatever MLflow raises, or what carries it, is raised as a StoreError."""
    store, named = None, bool(os.environ.get("MLFLOW_TRACKING_URI"))
    try:
        store = where()
        ours = ALWAYS | limits.requests | (SQLITE if store.database else {})
        with environment({name: value for name, value in ours.items() if name not in os.environ}):
            yield store
    except StoreError:
        raise
    except Exception as error:  # its own, requests', SQLAlchemy's, boto's: they have nothing in common
        text = _explained(store, error) if store else f"{_reason(error)}: correct it, or unset it to use mlflow.db"
        raise StoreError(f"MLFLOW_TRACKING_URI: {text}" if named else text) from error


def client(store: Store, limits: Limits = QUICK) -> MlflowClient:
    """MLflow's client of a store that is there; a database is made if there is none."""
    if store.database:
        database.ready(store.database, limits.lock)
    return MlflowClient(store.uri)


def experiment(store: Store, client: MlflowClient) -> str:
    """The id of the experiment, which is made when there is none, with what its page shows first.

    Raises:
        StoreError: it was deleted.
    """
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        try:
            return client.create_experiment(EXPERIMENT, store.artifacts, pages.TAGS)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was sooner
                raise
            found = client.get_experiment_by_name(EXPERIMENT)
            assert found is not None  # MLflow has just said that it exists
    if found.lifecycle_stage == "deleted":
        raise StoreError(
            f"MLflow's experiment {EXPERIMENT!r} is deleted; bring it back: "
            f"mlflow experiments restore -x {found.experiment_id}"
        )
    for name in pages.TAGS.keys() - found.tags.keys():  # made by an earlier version
        client.set_experiment_tag(found.experiment_id, name, pages.TAGS[name])
    return found.experiment_id


def prepare() -> None:
    """Makes what is not there yet of store and experiment.

    Raises:
        StoreError: the store cannot be used.
    """
    with talking() as store:
        experiment(store, client(store))


def alone(key: str, limits: Limits) -> FileLock:
    """Keeps other processes of this repository from logging the run of that key."""
    folder = root() / ".dvc" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"mlflow-{key}.lock", timeout=limits.lock)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Those variables are set, for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _explained(store: Store, error: Exception) -> str:
    if isinstance(error, Timeout):
        return f"another process holds {error.lock_file}: wait until it has logged, and run the same command again"
    if isinstance(error, database.Unusable):
        return str(error)
    if store.database and "is locked" not in str(error):
        try:  # what MLflow says of a file that is broken need not tell
            database.check(store.database)
        except database.Unusable as unusable:
            return str(unusable)
        except (OSError, SqliteError):
            pass  # the first error says it
    return f"cannot use the MLflow store at {store.shown}: {_reason(error)}{_hint(store, error)}"


def _hint(store: Store, error: Exception) -> str:
    said = str(error)
    if store.database:
        for words, hint in (
            ("is locked", "another process works on it; wait for it or end it, and run the same command again"),
            ("readonly|Permission denied|unable to open", "it or its folder is not yours to write"),
            ("disk is full|No space left", "make room, and run the same command again"),
        ):
            if re.search(words, said):
                return f"; {hint}"
        return ""
    if not store.uri.startswith("http"):
        return "" if isinstance(error, MlflowException) else "; correct MLFLOW_TRACKING_URI"
    if getattr(error, "error_code", "") in LOGIN or re.search(
        r"\b40[13]\b|unauthori[sz]ed|forbidden", said, re.IGNORECASE
    ):
        return (
            "; set the login that MLflow reads: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN"
        )
    if re.search(r"error code 404|valid JSON", said):
        return "; no MLflow server answers there, correct MLFLOW_TRACKING_URI"
    if re.search(r"failed with (timeout )?exception|error code 5\d\d|INTERNAL_ERROR", said):
        return "; start that server, or unset MLFLOW_TRACKING_URI to use mlflow.db in the repository"
    return ""


def _reason(error: Exception) -> str:
    """What is wrong, without SQL and the layers of HTTP."""
    said = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    said = said.partition("\n[SQL")[0]
    if cause := re.search(r"\(Caused by \w+\(['\"]?(.*?)['\"]?\)\)", said, re.DOTALL):
        said = cause[1]
    said = " ".join(_without_password(said).split())
    return (said if len(said) <= REASON else f"{said[:REASON]}…") or type(error).__name__


def _without_password(uri: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//***@", uri)
