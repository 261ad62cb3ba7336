"""What a grid costs beside its trainings, as it grows tenfold: the experiments are there, `python -m src.report`
collects them and writes its page. They are copies of the committed one that differ in their seed.
"""

import os
import subprocess
import time
from pathlib import Path

import pandas as pd
import yaml

from benchmarks.prepare import HERE, python
from src import identity, plain_yaml

CELLS = (10, 100, 1000)


def measure(folder: Path) -> pd.DataFrame:
    check_program()
    return pd.DataFrame(_collected(folder.with_name(str(cells)), cells) for cells in CELLS)


def check_program() -> None:
    recorded = identity.recorded(plain_yaml.read(HERE / "dvc.lock")["stages"]["train"])
    if recorded.program != identity.of("train", HERE).program:
        raise SystemExit("error: dvc.lock is of other code; make repro, and commit it")


def _collected(folder: Path, cells: int) -> dict[str, object]:
    subprocess.run(["git", "clone", "--quiet", str(HERE), str(folder)], check=True)
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=folder, text=True).strip()
    make_up(folder, cells, f"refs/exps/{head[:2]}/{head[2:]}")
    started = time.perf_counter()
    process = python(folder, "-m", "src.report", "made-up", stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"error: the report of {cells} cells failed")
    return {
        "cells": cells,
        "seconds": f"{seconds:.1f}",
        "milliseconds a cell": f"{1000 * seconds / cells:.0f}",
        "cells.csv, MiB": f"{(folder / 'made-up' / 'cells.csv').stat().st_size / 2**20:.1f}",
        "peak memory, MiB": usage.ru_maxrss // 1024,
    }


def make_up(clone: Path, cells: int, refs: str) -> None:
    """Writes a grid of so many cells into a clone, each of which is there as an experiment under `refs`."""
    text = (clone / "params.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    seeds = range(1, cells + 1)
    grid = {"data": "made up", "params": {}, "cells": [{"dataset": values["dataset"], "seed": list(seeds)}]}
    (clone / "made-up").mkdir()
    (clone / "made-up" / "grid.yaml").write_text(yaml.safe_dump(grid), encoding="utf-8")
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=clone, text=True).strip()
    name = f"made-up-{values['dataset']}-conv{values['conv_layers']}-seed"
    commits = "".join(
        f"commit {refs}/{name}{seed}\n"
        "committer made-up <> 0 +0000\ndata 0\n"
        f"from {head}\nM 100644 inline params.yaml\ndata {len(changed.encode())}\n{changed}\n"
        for seed in seeds
        for changed in [text.replace(f"\nseed: {values['seed']} ", f"\nseed: {seed} ")]
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=clone, input=commits, text=True, check=True)
