"""Runs one cell of a grid on a node of a cluster: python -m src.report.cell HOME TASK

HOME is the node's own clone, whose DVC cache all cells of the node share; TASK is what `cluster` writes. The working
directory is a clone of the commit for this cell alone, which is removed when the git remote has the experiment.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import requests

from src import command, identity, plain_yaml
from src.core.files import replacing
from src.errors import UserError, printable
from src.report.shared import HUB, Shared
from src.revisions import call, experiments, resolve, use_cache_of

EVERY = 180  # seconds between two uploads of checkpoints
PATIENCE = 3600  # seconds that what was computed waits for a store that is away
CHECKPOINTS = Path(".checkpoints")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m src.report.cell")
    parser.add_argument("home", type=Path)
    parser.add_argument("task", type=json.loads)
    arguments = parser.parse_args()
    run(arguments.home, **arguments.task)


def run(home: Path, job: str, name: str, digest: str, changes: dict[str, Any], hub: str, mlflow: str) -> None:
    """Runs the cell and pushes it, unless that was done.

    Args:
        home: relative paths of data begin there, as they begin at the repository elsewhere.
        digest: of the params that the experiment will have.

    Raises:
        UserError: it failed, or a store was away for too long. What was computed stays for the next try.
    """
    clone = Path.cwd()
    common = Shared(clone, resolve(clone, "HEAD"), hub, mlflow)
    call("git", "config", f"remote.{HUB}.url", hub, cwd=clone)
    if not patiently(lambda: common.has(name, digest)):
        _prepare(home, clone)
        uploads = Uploads(clone, job)
        if name in experiments(clone):  # only pushing failed
            call("dvc", "exp", "apply", name, cwd=clone)
        else:
            patiently(lambda: _check_answers(mlflow))
            with uploads:
                chosen = changes | _data(home, clone, changes)
                params = [f"--set-param={param}={json.dumps(value)}" for param, value in chosen.items()]
                ran = ("dvc", "exp", "run", "--pull", "--name", name, *params)
                call(*ran, cwd=clone, capture=False, MLFLOW_TRACKING_URI=mlflow)
        lock = plain_yaml.read(clone / "dvc.lock")
        key = identity.recorded(lock["stages"]["train"]).key
        patiently(lambda: common.has(name, digest) or common.push(name, key))
        uploads.remove()
    shutil.rmtree(call("git", "rev-parse", "--show-toplevel", cwd=clone).removesuffix("\n"))


def _prepare(home: Path, clone: Path) -> None:
    """The cache of the node, and its libraries, which must be those of the commit."""
    for stage in plain_yaml.read(clone / "dvc.yaml")["stages"]:
        identity.check_libraries(stage)
    if not (clone / ".dvc" / "cache").is_symlink():
        use_cache_of(home, clone)
    for name, value in (("user.name", "cluster"), ("user.email", "cluster@localhost")):  # DVC commits experiments
        call("git", "config", name, value, cwd=clone)


def _data(home: Path, clone: Path, changes: dict[str, Any]) -> dict[str, str]:
    """Params that name files, absolute: the cell's own folder is not where they begin."""
    values = plain_yaml.read(clone / "params.yaml") | changes
    return {name: str(home / values[name]) for name in ("local_path", "votes_path") if values.get(name)}


def _check_answers(mlflow: str) -> None:
    """Raises a UserError when the server does not; a training that it does not take at its start would fail."""
    try:
        answer = requests.get(f"{mlflow}/health", timeout=10)
    except requests.RequestException as error:
        raise UserError(f"MLflow's server does not answer: {error}") from error
    if answer.status_code >= 500:  # one below may only want a password, which `dvc exp run` has
        raise UserError(f"MLflow's server answers {answer.status_code}")


def patiently(ask: Callable[[], Any]) -> Any:
    """What `ask` returns, once it raises no UserError; the last one when that lasts too long."""
    end, pause = time.monotonic() + PATIENCE, 5.0
    while True:
        try:
            return ask()
        except UserError as error:
            if time.monotonic() > end:
                raise
            print(f"waiting, as {printable(str(error))}", file=sys.stderr, flush=True)
            time.sleep(pause)
            pause = min(2 * pause, 60)


class Uploads:
    """The checkpoints of a cell in DVC's remote, for another node to go on from.

    They are brought first, which waits for the remote as `patiently` does; without them hours might be trained twice.
    An upload that fails is made up for by the next one, and costs the training nothing.
    """

    def __init__(self, clone: Path, folder: str):
        from dvc.repo import Repo

        self._local = clone / CHECKPOINTS
        with Repo(str(clone)) as project:
            remote = project.cloud.get_remote()
            self._fs, self._folder = remote.fs.fs, f"{remote.path}/checkpoints/{folder}"
        self._ends = Event()
        self._thread = Thread(target=self._keep_up, daemon=True)

    def __enter__(self) -> None:
        patiently(self._bring)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ends.set()

    def remove(self) -> None:
        """What the remote has of them, as far as it answers."""
        if self._thread.ident:  # an upload may be under way
            self._thread.join(60)
        with suppress(Exception):
            for path in self._there():
                self._fs.rm_file(path)

    def _bring(self) -> None:
        try:
            for path in self._there():
                local = self._local / path.removeprefix(f"{self._folder}/")
                if not local.exists():
                    with replacing(local) as temporary:
                        self._fs.get_file(path, str(temporary))
        except Exception as error:  # whatever the libraries of S3, SSH, … raise
            raise UserError(f"DVC's remote does not answer: {error}") from error

    def _there(self) -> list[str]:
        self._fs.invalidate_cache()
        return list(self._fs.find(self._folder))  # of a folder it is a generator

    def _keep_up(self) -> None:
        while not self._ends.wait(EVERY):
            try:
                self._upload()
            except Exception as error:  # noqa: BLE001 as well
                print(f"no checkpoint is uploaded this time: {printable(str(error))}", file=sys.stderr, flush=True)

    def _upload(self) -> None:
        newest = max(self._local.glob("*/[0-9]*"), key=lambda path: path.name, default=None)
        if newest is None:
            return
        before, there = self._there(), f"{self._folder}/{newest.relative_to(self._local).as_posix()}"
        if there not in before:
            self._fs.put_file(str(newest), there)
            for path in before:
                self._fs.rm_file(path)


if __name__ == "__main__":
    command.run(main)
