"""Where it runs, besides the machine that runs the tests: other Pythons, other kinds of CPU, other systems."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from src import environment
from tests.conftest import fresh

# The one that is furthest from this Python. `PYTHONS="3.11 3.12 3.13"` names others: each takes minutes and 3.4 GB.
FURTHEST = "3.11" if sys.version_info >= (3, 13) else "3.13"


def interpreter(version: str) -> str:
    """A Python of that version that can make environments: on PATH, or one of pyenv's."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    installed = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    for candidate in filter(None, [shutil.which(f"python{version}"), *map(str, installed)]):
        # A shim of pyenv may have nothing behind it, and Debian's python3 lacks what its python3-venv brings.
        if subprocess.run([candidate, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0:
            return candidate
    pytest.skip(f"no python{version} with ensurepip is on PATH or in {root}")


@pytest.fixture
def clone(reproduced, tmp_path):
    yield fresh(reproduced, tmp_path / "clone")
    shutil.rmtree(tmp_path / "clone")  # pytest would keep three environments


@pytest.mark.slow
@pytest.mark.parametrize("version", os.environ.get("PYTHONS", FURTHEST).split())
def test_make_repro_with_another_python_gives_the_same_bytes_and_nothing_is_said_of_it(version, reproduced, clone):
    done = clone.run("make", "repro", f"PYTHON={interpreter(version)}")
    assert clone.run(".venv/bin/python", "--version").stdout.startswith(f"Python {version}.")
    assert "Running stage 'plot'" in done.stdout
    assert clone.run("git", "status", "--porcelain").stdout == ""  # dvc.lock has the hash of every output
    predict = ("-m", "src.predict", "docs/images/faces_416.png")
    there, here = clone.run(".venv/bin/python", *predict), reproduced.run(sys.executable, *predict)
    assert (there.stdout, there.stderr) == (here.stdout, "")


@pytest.mark.parametrize(
    ("machine", "promised"),
    [("x86_64", True), ("AMD64", True), ("aarch64", False), ("arm64", False), ("i686", False), ("riscv64", False)],
)
def test_portable_promises_its_bits_for_x86_64(machine, promised):
    assert environment.portable_here(machine) == promised


@pytest.mark.slow
def test_on_another_kind_of_machine_portable_runs_and_says_what_is_not_promised(reproduced):
    """The kernel gives it another name; what it computes is the same here."""
    if not shutil.which("setarch"):
        pytest.skip("needs setarch (util-linux)")
    done = reproduced.run("setarch", "i686", "python", "-m", "src.evaluate")
    assert done.stderr == "portable: the same bits on every CPU are promised for x86-64; i686 has bits of its own\n"
    assert reproduced.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"


@pytest.mark.parametrize("target", ["repro", "test", "verify"])
def test_make_on_windows_says_in_a_line_where_it_runs(target, small):
    done = small.run("make", "--no-print-directory", target, ok=False, OS="Windows_NT")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("this needs Linux or macOS; on Windows use the Windows Subsystem for Linux, WSL.  Stop.")
    assert done.stdout == ""
