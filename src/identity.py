"""What a stage computes from: its code, its params, its inputs, the libraries that compute in it.

This is what DVC records of it in dvc.lock, and DVC itself says what that is. Checkpoints, MLflow runs, the rows of a
grid and `verify` mean by "the same" that these are the same.
"""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from src import plain_yaml
from src.errors import UserError

CODE = "src/"
LIBRARIES = "libraries.yaml"


class Identity(NamedTuple):
    """Equal exactly when a stage would compute the same thing."""

    code: dict[str, str]  # path -> hash, of files and folders
    libraries: dict[str, str]  # name -> version
    params: dict[str, Any]  # that dvc.yaml lists for the stage
    inputs: dict[str, str]  # path -> hash, of what other stages wrote

    @property
    def key(self) -> str:
        """Of all of it, 64 hex digits."""
        return _digest(self)

    @property
    def program(self) -> str:
        """Of code and libraries alone, 16 hex digits: equal for runs that differ in params or data only."""
        return _digest((self.code, self.libraries))[:16]


def of(stage: str, repository: Path = Path()) -> Identity:
    """What `stage` would compute from now, as the files in `repository` are; inputs that are not there are left out.

    Raises:
        UserError: DVC cannot read dvc.yaml or what it names.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.stage.serialize import to_single_stage_lockfile

    try:
        with Repo(str(repository)) as project:
            loaded = project.stage.load_one(str(repository / "dvc.yaml"), name=stage)
            loaded.save_deps(allow_missing=True)
            return recorded(to_single_stage_lockfile(loaded))
    except DvcException as error:
        raise UserError(f"dvc.yaml: what the stage {stage} depends on cannot be read: {error}") from error


def recorded(entry: dict[str, Any]) -> Identity:
    """Of a stage that ran, from its entry in dvc.lock."""
    hashes = {dep["path"]: dep["md5"] for dep in entry["deps"] if "md5" in dep}
    params = entry.get("params", {})
    return Identity(
        code={path: md5 for path, md5 in hashes.items() if path.startswith(CODE)},
        libraries=dict(params.get(LIBRARIES, {})),
        params=dict(params.get("params.yaml", {})),
        inputs={path: md5 for path, md5 in hashes.items() if not path.startswith(CODE)},
    )


def listed_params(stage: str) -> dict[str, list[str]]:
    """File -> params that dvc.yaml lists for `stage`."""
    listed: dict[str, list[str]] = {}
    for entry in plain_yaml.read(Path("dvc.yaml"))["stages"][stage]["params"]:
        for path, names in entry.items() if isinstance(entry, dict) else [("params.yaml", [entry])]:
            listed.setdefault(path, []).extend(names)
    return listed


def check_libraries(stage: str) -> None:
    """Refuses to compute with other libraries than DVC will record.

    Raises:
        UserError: another version is installed than libraries.yaml has, or none.
    """
    written = plain_yaml.read(Path(LIBRARIES))
    for name in listed_params(stage).get(LIBRARIES, []):
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "not"
        if installed != written.get(name):
            raise UserError(
                f"{LIBRARIES}: {name} is {written.get(name)} there, and {installed} is installed; "
                f"`make repro` installs what requirements.txt has, and .venv/bin/dvc writes what is installed into it"
            )


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
