"""`dvc`, which writes dvc.lock, dvc.yaml and params.yaml whole or not at all; `make` puts it into .venv/bin.

DVC 3.67 empties a file and then fills it. Killed in between, it leaves a dvc.lock that no later `dvc repro` accepts
("validation failed. required key not provided"); of 100 kills at random moments one or two hit it.
"""

import sys
from pathlib import Path

from dvc.cli import main
from dvc.utils.serialize import _common, _yaml


def _dump_whole(path, data, dumper, fs=None, **arguments) -> None:
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w+", encoding="utf-8") as file:
        dumper(data, file, **arguments)
    temporary.replace(path)


if __name__ == "__main__":
    _common._dump_data = _yaml._dump_data = _dump_whole
    sys.exit(main())
