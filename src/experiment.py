"""An experiment is the hash of what defines it: params, data, the code that trains, the libraries it calls."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import yaml

from src.files import ARRAYS, digest
from src.params import Params

LIBRARIES = ("keras", "numpy", "tensorflow")


def key(params: Params) -> str:
    """A hex digest that is equal exactly when the train stage would compute the same thing.

    Checkpoints and MLflow runs are found again by it. Code is what dvc.yaml lists as dependencies of `train`.
    """
    stage = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]["train"]
    code = sorted(dep for dep in stage["deps"] if dep.endswith(".py"))
    arrays = sorted(ARRAYS.iterdir())
    definition = {
        "params": params.model_dump(mode="json"),
        "files": {Path(name).as_posix(): digest(Path(name)) for name in [*code, *arrays]},
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
