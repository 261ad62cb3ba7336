"""dvc.yaml names everything a stage reads."""

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def modules_used(start: str) -> set[str]:
    """Files of all modules of ours that `start` imports, directly or not, also inside functions."""
    found, waiting = set(), [start]
    while waiting:
        module = waiting.pop()
        path = ROOT / f"{module.replace('.', '/')}.py"
        if not path.exists():
            path = ROOT / module.replace(".", "/") / "__init__.py"
        if not path.exists() or path in found:  # a name inside a module, or known
            continue
        found.add(path)
        waiting.extend(".".join(module.split(".")[:depth]) for depth in range(1, module.count(".") + 1))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                waiting.extend(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                waiting.extend([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return {path.relative_to(ROOT).as_posix() for path in found if holds_code(path)}


def holds_code(path: Path) -> bool:
    body = ast.parse(path.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_exactly_the_modules_it_imports(name):
    listed = {dep for dep in STAGES[name]["deps"] if dep.endswith(".py")}
    assert listed == modules_used(f"src.stages.{name}")


def test_each_stage_is_the_module_of_its_name():
    assert list(STAGES) == ["download", "split", "preprocess", "train", "evaluate", "plot"]
    assert all(stage["cmd"] == f"python -m src.stages.{name}" for name, stage in STAGES.items())


@pytest.mark.parametrize("name", ["download", "split", "preprocess", "plot"])
def test_a_stage_that_does_not_train_never_imports_tensorflow(name, reproduced):
    code = f"import sys, runpy; runpy.run_module('src.stages.{name}', run_name='__main__'); "
    code += "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    reproduced.run("python", "-c", code)
