"""A clone of the repository with small params, in which the real dvc and mlflow run."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from src.core import pinning
from src.params import changed
from src.revisions import resolve

HERE = Path(__file__).resolve().parents[1]
TINY = {"usable.faces": 7, "usable.epochs": 1, "segmentation.faces": 8, "segmentation.epochs": 1}  # other networks
SMALL = {"epochs": 2, "rendered.scale": 0.02, "model.dense_units": 16, **TINY}


def found(name: str) -> Path:
    """Real faces, where they lie beside the repository; they are never part of it."""
    path = (HERE / ".." / "shared" / "data" / name).resolve()
    if not path.is_file():
        pytest.skip(f"../shared/data/{name} is not there: its terms do not let it be part of the repository")
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long tests first, so that two workers end at about the same time."""
    items.sort(key=lambda item: "small" not in item.fixturenames)


class Clone:
    """A git clone whose commands run as a user types them."""

    def __init__(self, path: Path):
        self.path = path

    def run(self, *command: str, ok: bool = True, **env: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            command, cwd=self.path, env=environment() | env, capture_output=True, text=True, timeout=900, check=False
        )
        if ok:
            assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done

    def set_params(self, values: dict) -> None:
        """Sets dotted params in params.yaml."""
        file = self.path / "params.yaml"
        params = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump(changed(params, values), sort_keys=False))

    def show(self, revision: str, path: str) -> str:
        """The text of a file in a commit or a DVC experiment."""
        return self.run("git", "show", f"{resolve(self.path, revision)}:{path}").stdout

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message, "--allow-empty")


def without_privileges() -> None:
    """For `preexec_fn`: from the next program on, root too may read only what the modes of files allow (Linux)."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def environment() -> dict[str, str]:
    """The caller's environment without what DVC or MLflow would take from it."""
    return {name: value for name, value in pinning.of_caller().items() if not name.startswith(("DVC_", "MLFLOW_"))}


def clone_of(source: Path, path: Path) -> Clone:
    subprocess.run(["git", "clone", "-q", source, path], check=True)
    clone = Clone(path)
    clone.run("git", "config", "user.name", "Test")
    clone.run("git", "config", "user.email", "test@example.com")
    return clone


def fresh(original: Clone, path: Path, **params) -> Clone:
    """A clone with an empty cache, and other params if there are any."""
    clone = clone_of(original.path, path)
    if params:
        clone.set_params(params)
        clone.commit("params")
    return clone


def commit_working_tree(path: Path, **params) -> Clone:
    """A clone of the repository as it is in the working tree, with small params, committed, not run yet."""
    clone = clone_of(HERE, path)
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        target = clone.path / name
        if (HERE / name).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, target)
        else:
            target.unlink(missing_ok=True)
    clone.set_params(SMALL | params)
    clone.commit("small")
    return clone


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Clone:
    return commit_working_tree(tmp_path_factory.mktemp("small") / "repository")


@pytest.fixture(scope="session")
def reproduced(small: Clone) -> Clone:
    """The small repository after `dvc repro`, its results committed."""
    small.run("dvc", "repro")
    small.commit("results")
    return small
