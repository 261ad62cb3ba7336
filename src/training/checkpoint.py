"""Checkpoints of one experiment: what is needed to go on after a complete epoch as if nothing had happened."""

import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np

from src.files import replacing

KEPT = 2  # the newest, and the one before in case the newest is damaged
DIGEST = 32


class Checkpoints:
    """A folder with one file per epoch, named by it: SHA-256 of the rest, then the rest as a NumPy archive.

    It holds every variable of model and optimizer, dropout's random state among them, and the history so far.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, model: keras.Model, history: list[dict[str, float]]) -> None:
        """Writes the state after epoch `len(history)`; a crash while writing leaves the earlier ones whole."""
        buffer = io.BytesIO()
        arrays = {str(number): value for number, value in enumerate(_state(model))}
        np.savez(buffer, history=np.array(json.dumps(history)), **{n: v.numpy() for n, v in arrays.items()})
        content = buffer.getbuffer()
        with replacing(self.folder / f"{len(history):06d}") as temporary, temporary.open("wb") as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        for old in self._newest_first()[KEPT:]:
            old.unlink()

    def restore(self, model: keras.Model) -> list[dict[str, float]]:
        """Puts `model` into the newest undamaged state; returns its history, empty when there is none."""
        for path in self._newest_first():
            content = path.read_bytes()
            if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
                print(f"checkpoint of epoch {int(path.name)} is damaged; using the one before")
                continue
            with np.load(io.BytesIO(content[DIGEST:])) as arrays:
                for number, variable in enumerate(_state(model)):
                    variable.assign(arrays[str(number)])
                return json.loads(str(arrays["history"]))
        return []

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        return sorted((path for path in self.folder.glob("[0-9]*")), reverse=True)


def _state(model: keras.Model) -> list:
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]
