"""Checkpoints of one experiment: what is needed to go on after a complete epoch as if nothing had happened."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout

from src.core.files import checkpoints, replacing

if TYPE_CHECKING:
    import keras

KEPT = 2  # per experiment: the newest, and the one before in case the newest is damaged
MANY = 8  # other experiments with checkpoints, from which on it is said how to make room
DIGEST = 32

History = list[dict[str, float]]


class Checkpoints:
    """A folder with one file per epoch, named by it: SHA-256 of the rest, then the rest as a NumPy archive.

    It holds the `key` of the experiment that it belongs to, every variable of model and optimizer, dropout's random
    state among them, and the history so far. It stands in the repository, where DVC deletes nothing, also for `dvc exp
    run --temp` and `--queue`.
    """

    def __init__(self, key: str):
        self.key, self.folder = key, checkpoints(key)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other processes from training the same experiment, also one whose `dvc` died before it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        holder = self.folder.with_suffix(".pid")
        lock = FileLock(self.folder.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            pid = holder.read_text(encoding="utf-8") if holder.exists() else "unknown"
            print(f"process {pid} is training this very experiment: waiting for it; end it to go on in its place")
            lock.acquire()
        try:
            with replacing(holder) as temporary:
                temporary.write_text(str(os.getpid()), encoding="utf-8")
            self._say_how_many_others()
            yield
        finally:
            lock.release()

    def save(self, model: "keras.Model", history: History) -> None:
        """Writes the state after epoch `len(history)`; a crash while writing leaves the earlier ones whole."""
        buffer = io.BytesIO()
        state = {str(number): variable.numpy() for number, variable in enumerate(_state(model))}
        np.savez(buffer, key=np.array(self.key), history=np.array(json.dumps(history)), **state)
        content = buffer.getbuffer()
        with replacing(self.folder / f"{len(history):06d}") as temporary, temporary.open("wb") as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)

    def restore(self, model: "keras.Model") -> History:
        """Puts `model` into the newest state that is whole and its own; returns its history, empty if there is none."""
        for path in self._newest_first():
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # evaluate, of another process, has just removed them
                continue
            if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
                print(f"checkpoint of epoch {int(path.name)} is damaged; using the one before")
                continue
            with np.load(io.BytesIO(content[DIGEST:])) as arrays:
                if str(arrays.get("key")) != self.key:
                    print(f"{path} belongs to another experiment; it is not used")
                    continue
                for number, variable in enumerate(_state(model)):
                    variable.assign(arrays[str(number)])
                return json.loads(str(arrays["history"]))
        return []

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*"), reverse=True)

    def _say_how_many_others(self) -> None:
        """Runs that were stopped can go on for as long as their checkpoints are there; only the user deletes them."""
        others = [path for path in self.folder.parent.iterdir() if path.is_dir() and path != self.folder]
        if len(others) >= MANY:
            print(
                f"{self.folder.parent} holds checkpoints of {len(others)} other experiments, each to go on with; "
                "those that you do not want to finish can be deleted"
            )


def _state(model: "keras.Model") -> "list[keras.Variable]":
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]
