"""What goes along with a model, so that it needs no repository."""

import ast
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from src.tracking import carried
from tests.conftest import HERE

NAME = (
    "import sys; from pathlib import Path; from src.tracking import carried; "
    "print(carried.code(Path(sys.argv[1])).name)"
)


def imported(package: Path) -> set[str]:
    """Every module that is imported anywhere in the package, also inside functions."""
    names: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def test_a_model_carries_all_that_it_imports_and_requires_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(HERE)
    package = carried.code(tmp_path)
    names = imported(package)
    tops = {name.partition(".")[0] for name in names}
    assert "src" not in tops
    modules = {".".join(path.relative_to(tmp_path).with_suffix("").parts) for path in package.rglob("*.py")}
    assert {module for module in modules if not module.endswith("__init__")} <= names
    rooms = {module.split(".")[1] for module in modules}
    assert not rooms & {"tracking", "train", "download", "split", "preprocess", "plot", "report", "command"}
    foreign = tops - set(sys.stdlib_module_names) - {package.name, "pydantic_core"}  # which pydantic pins
    distributions = {name for top in foreign for name in packages_distributions()[top]}
    required = {line.partition("==")[0] for line in carried.requirements()}
    assert {name.lower() for name in distributions} | {"matplotlib"} == required  # whose settings are pinned


def test_the_package_is_called_by_what_is_in_it(tmp_path):
    """So an older model does not compute with the code of a newer one that is loaded beside it."""

    def name(**edited: str) -> str:
        copy = tmp_path / "copy"
        shutil.copytree(HERE / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for path, text in edited.items():
            (copy / "src" / path.replace("__", "/")).with_suffix(".py").write_text(text)
        command = [sys.executable, "-c", NAME, str(tmp_path / "package")]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=True)
        shutil.rmtree(copy)
        return done.stdout.strip()

    first = name()
    assert first.isidentifier()
    assert name(plot__charts="x = 1\n", progress="x = 1\n") == first
    photos = (HERE / "src/predict/photos.py").read_text()
    assert name(predict__photos=photos.replace("HELD = 256", "HELD = 128")) != first
