"""dvc.yaml names all that can change what a stage writes: rooms of src/, and libraries."""

import ast
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import HERE

STAGES = yaml.safe_load((HERE / "dvc.yaml").read_text())["stages"]
NAMES = ["download", "split", "usable", "segmentation", "preprocess", "train", "evaluate", "plot"]
# Libraries that show, check, lock or fetch, and change no number.
NOT_COMPUTING = {"absl", "filelock", "kagglehub", "pydantic", "requests", "tqdm"}
BEHIND = {"mtcnn": {"keras", "tensorflow"}}  # whose networks are theirs
DISTRIBUTION = {"PIL": "pillow", "cv2": "opencv-python-headless", "sklearn": "scikit-learn"}


def path_of(module: str) -> Path | None:
    base = HERE / module.replace(".", "/")
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def imported(path: Path) -> set[str]:
    """Modules, and names in them, that a file imports, also inside functions; not those for type checkers."""
    waiting, names = [ast.parse(path.read_text())], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        waiting.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def reached(stage: str) -> set[Path]:
    """Files in the rooms of src/ from which code comes when a stage runs; tracking changes no result."""
    files, waiting = set(), [f"src.{stage}.__main__", "src.core"]
    while waiting:
        path = path_of(waiting.pop())
        if path and path not in files and "tracking" not in path.parts:
            files.add(path)
            waiting.extend(name for name in imported(path) if name.startswith("src."))
    return {path for path in files if path.parent != HERE / "src"}


@pytest.mark.parametrize("stage", NAMES)
def test_a_stage_depends_on_exactly_the_rooms_from_which_it_imports(stage):
    listed = {dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")}
    assert listed == {path.parent.relative_to(HERE).as_posix() for path in reached(stage)}


@pytest.mark.parametrize("stage", NAMES)
def test_a_stage_has_exactly_the_libraries_as_params_that_its_code_imports(stage):
    modules = {name.split(".")[0] for path in reached(stage) for name in imported(path)}
    modules |= {behind for module in modules & BEHIND.keys() for behind in BEHIND[module]}
    computing = modules - NOT_COMPUTING - sys.stdlib_module_names - {"src"}
    (listed,) = (param["libraries.yaml"] for param in STAGES[stage]["params"] if isinstance(param, dict))
    assert listed == sorted(DISTRIBUTION.get(module, module) for module in computing)


def test_libraries_yaml_has_the_versions_that_requirements_txt_installs():
    written = yaml.safe_load((HERE / "libraries.yaml").read_text())
    lines = (HERE / "requirements.txt").read_text().splitlines()
    pinned = dict(line.split(" ")[0].split("==") for line in lines if "==" in line and not line.startswith(" "))
    assert written == {name: pinned[name] for name in sorted(written)}


def test_each_stage_is_the_folder_of_its_name():
    assert list(STAGES) == NAMES
    assert all(stage["cmd"] == f"python -m src.{name}" for name, stage in STAGES.items())


@pytest.mark.parametrize("name", ["download", "split", "preprocess", "plot"])
def test_a_stage_that_does_not_train_never_imports_tensorflow(name, reproduced):
    code = f"import sys, runpy; runpy.run_module('src.{name}', run_name='__main__'); "
    code += "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    reproduced.run("python", "-c", code)
