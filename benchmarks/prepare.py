"""Working folders for measurements: params.yaml with changes, and what the stages make of it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from src.params import changed

HERE = Path(__file__).resolve().parents[1]
REAL = HERE.parent / "shared" / "data" / "fer2013.zip"  # as in docs/results/grid.yaml


def source() -> dict[str, Any]:
    """Params for the real faces where they lie beside the repository, for drawn ones otherwise."""
    return {"source": "local", "local_path": str(REAL)} if REAL.is_file() else {"source": "rendered"}


def write_params(folder: Path, changes: dict[str, Any]) -> None:
    """Writes `folder`/params.yaml: the repository's with `changes`, {"rendered.scale": 0.5}."""
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load((HERE / "params.yaml").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(changed(values, changes), file)


def link_code(folder: Path) -> None:
    """Makes `folder` a DVC project of this code, as stages ask DVC which code and libraries they are."""
    for name in ("dvc.yaml", "libraries.yaml", "src"):
        (folder / name).symlink_to(HERE / name)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n", encoding="utf-8")


def python(folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Starts this repository's code in `folder`, which holds params.yaml and takes all that it writes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
    environment = kept | {"PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment, text=True, **options)


def run_stage(folder: Path, stage: str) -> None:
    process = python(folder, "-m", f"src.{stage}", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, complaints = process.communicate()
    if process.returncode:
        raise SystemExit(f"error: stage {stage} failed\n{complaints[-2000:]}")
