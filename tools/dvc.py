"""`dvc`, which knows of libraries and writes its files whole or not at all; `make` puts it into .venv/bin.

libraries.yaml holds the versions of the libraries that compute results, and dvc.yaml names them as params of stages.
Where others are installed by now, they are written there first, so that DVC runs again what they compute.

DVC 3.67 empties a file and then fills it. Killed in between, it leaves a dvc.lock ("validation failed. required key not
provided") or a .dvc/tmp/rwlock ("JSON structure is corrupted") with which no later `dvc repro` begins. Of 100 kills at
random moments one or two do that.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

from dvc import rwlock
from dvc.cli import main
from dvc.utils.serialize import _common, _yaml


@contextmanager
def _whole(path: str | Path, encoding: str = "utf-8") -> Iterator[TextIO]:
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w+", encoding=encoding) as file:
        yield file
    temporary.replace(path)


def _dump_whole(path: str, data: Any, dumper: Callable[..., None], fs: Any = None, **arguments: Any) -> None:
    """In place of what writes dvc.lock, dvc.yaml and params.yaml."""
    with _whole(path) as file:
        dumper(data, file, **arguments)


class _WholeFiles:
    """DVC's file system, for what writes .dvc/tmp/rwlock."""

    def __init__(self, fs: Any):
        self._fs = fs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def open(self, path: str, mode: str = "r", **arguments: Any) -> AbstractContextManager[Any]:
        return _whole(path, **arguments) if mode == "w" else self._fs.open(path, mode, **arguments)


_edit_rwlock = rwlock._edit_rwlock


def _edit_rwlock_whole(folder: str, fs: Any, hardlink: bool) -> AbstractContextManager[Any]:
    return _edit_rwlock(folder, _WholeFiles(fs), hardlink)


def _write_versions(path: Path) -> None:
    """Brings the lines `name: version` of libraries.yaml up to what is installed."""

    def line(match: re.Match[str]) -> str:
        try:
            installed = version(match[1])
        except PackageNotFoundError:  # the stage that needs it says so
            return match[0]
        if installed != match[2]:
            print(f"{path.name}: {match[1]} {match[2]} -> {installed}", file=sys.stderr)
        return f"{match[1]}: {installed}"

    text = path.read_text(encoding="utf-8")
    if (now := re.sub(r"^([\w-]+): (.+)$", line, text, flags=re.MULTILINE)) != text:
        with _whole(path) as file:
            file.write(now)


if __name__ == "__main__":
    if (libraries := Path("libraries.yaml")).is_file():
        _write_versions(libraries)
    _common._dump_data = _yaml._dump_data = _dump_whole
    rwlock._edit_rwlock = _edit_rwlock_whole
    sys.exit(main())
