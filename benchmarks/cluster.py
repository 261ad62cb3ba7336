"""What a grid on a cluster costs beside its trainings, as it grows: Ray, git remote and rows are real. A cell sleeps
for 30 seconds in place of a training, and its experiment is there already. The nodes' cores are so by name only.
"""

import os
import resource
import subprocess
import time
from contextlib import chdir
from pathlib import Path

import pandas as pd

from benchmarks.grid import check_program, make_up
from src.report import grid, runs
from src.report.engines import Ray
from src.revisions import resolve
from tools.cluster import Cluster

SIZES = ((10, 10), (40, 10), (40, 20))  # cells, and how many at a time
SECONDS = 30


def measure(folder: Path) -> pd.DataFrame:
    check_program()
    return pd.DataFrame(_run(folder.with_name(f"{cells}-{slots}"), cells, slots) for cells, slots in SIZES)


def _run(folder: Path, cells: int, slots: int) -> dict[str, object]:
    with Cluster(folder, cores=slots) as cluster:  # two nodes, and two cores a cell
        os.environ |= cluster.environment
        make_up(cluster.repository, cells, "refs/made-up")
        everything = "refs/made-up/*:refs/made-up/*"
        subprocess.run(["git", "push", "--quiet", "origin", everything], cwd=cluster.repository, check=True)
        started, before = time.perf_counter(), _used()
        with chdir(cluster.repository):
            runs.complete(grid.read(Path("made-up")), Sleep(cluster))
        seconds, used = time.perf_counter() - started, _used() - before
    return {
        "cells": cells,
        "at a time": slots,
        "seconds": f"{seconds:.0f}",
        "of them not slept": f"{seconds - SECONDS * cells / slots:.0f}",
        "the head's core seconds a cell": f"{used / cells:.2f}",
    }


class Sleep(Ray):
    """Ray, but for what a cell does."""

    def __init__(self, cluster: Cluster):
        super().__init__(cluster.ray)
        commit = resolve(cluster.repository, "HEAD")
        self._push = f"git -C {cluster.hub} update-ref refs/exps/{commit[:2]}/{commit[2:]}/{{0}} refs/made-up/{{0}}"

    def submit(self, name: str, command: str, cores: int) -> None:
        cell = name.rsplit("-", 2)[0]
        super().submit(name, f"sleep {SECONDS}; {self._push.format(cell)}", cores)


def _used() -> float:
    """Core seconds of this process and of what it has started and waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
