"""Nothing to do: `dvc repro` where everything is up to date."""

import subprocess
import time
from pathlib import Path

import pandas as pd

from benchmarks.prepare import HERE, write_params
from benchmarks.tables import compared

TURNS = 5


def measure(folder: Path) -> pd.DataFrame:
    subprocess.run(["git", "clone", "-q", HERE, folder], check=True)
    write_params(folder, {"epochs": 1})
    subprocess.run(["dvc", "repro", "-q"], cwd=folder, check=True, capture_output=True)
    seconds = []
    for _ in range(TURNS):
        started = time.perf_counter()
        done = subprocess.run(["dvc", "repro"], cwd=folder, check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - started)
        if "up to date" not in done.stdout:
            raise SystemExit("error: there was something to do")
    return compared({"dvc repro": seconds}, "seconds")
