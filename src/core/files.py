"""Where the repository is, and how its files are written: whole or not at all."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

from src.errors import UserError

# What passes from stage to stage, as dvc.yaml names it: no param is part of a path, since DVC deletes a stage's outputs
# before any code of ours has seen the params.
RAW = Path("data/raw.zip")
VOTES = Path("data/votes.csv")
MANIFEST = Path("data/manifest.csv")
ARRAYS = Path("data/arrays")
MODEL = Path("models/model.h5")
PREDICTIONS = Path("data/predictions.csv")
GRADCAM = Path("data/gradcam.npy")


def root() -> Path:
    """The repository that the user works in, also when DVC runs a stage in a temporary copy of it."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def checkpoints(key: str) -> Path:
    """The folder of a training's checkpoints; in the repository, where DVC deletes nothing."""
    return root() / ".checkpoints" / key


def remove_checkpoints(key: str) -> None:
    """Deletes those of a training. The empty lock file stays: another process may be waiting on it."""
    folder = checkpoints(key)
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".pid").unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary name beside `path`; what was written there, file or folder, then takes its place.

    The temporary name ends as `path` does, since some libraries tell a format by that.

    Raises:
        UserError: `path` cannot be written: a full disk, a folder that is read-only or somebody else's.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        yield temporary
        if temporary.is_dir():
            _remove(path)
        temporary.replace(path)
    except OSError as error:
        if error.filename and not Path(os.fsdecode(error.filename)).is_relative_to(path.parent):
            raise  # a file that was to be read meanwhile
        hdf5 = re.search(r"errno = (\d+)", str(error))  # which has no other place for it than a text of several lines
        reason = os.strerror(int(hdf5[1])) if hdf5 else error.strerror or error
        raise UserError(f"{path} cannot be written: {reason}") from error
    finally:
        with suppress(OSError):  # what kept it from being written may keep it from being removed
            _remove(temporary)


def check_writable(path: Path) -> None:
    """Finds out before the work whether a file could be written at `path` after it.

    Raises:
        UserError: it could not.
    """
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is no file that could be replaced; name another")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        trial = folder / _temporary(path).name
        trial.touch()
        _remove(trial)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.stem}.part{path.suffix}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Writes `content`, of what JSON knows, indented, its keys in their order."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, allow_nan=False)  # NaN is no JSON
        temporary.write_text(text + "\n", encoding="utf-8", newline="\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Writes `table` without its index; floats in the shortest form that reads back to the same value."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The hash of a file's bytes, in hex digits; the file is not held in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
