"""`--workers ray:…` with a real cluster: Ray, S3, PostgreSQL, MLflow's server, two nodes, faults; the same bytes."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tests.conftest import Clone, clone_of, environment, fresh
from tools import cluster as tool

LONG = "tiny-ai-conv3-epochs-60-seed1"  # trains for longer than all the others together
GRID = """
data: tiny drawn faces
params: {threads: 1}
cells:
  - {dataset: ai, epochs: 60}
  - {dataset: ai, seed: [1, 2]}
  - {dataset: ai_half}
timed:
  - {dataset: ai, epochs: 3}
"""
PARTS = [name for name in ("juicefs", "ray") if not shutil.which(name)]


@pytest.fixture
def running(small, tmp_path) -> Iterator[tool.Cluster]:
    """A cluster with a repository of small params, whose checkpoints go up every three seconds."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin")):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    clone = fresh(small, tmp_path / "small")
    (clone.path / "tiny").mkdir()
    (clone.path / "tiny/grid.yaml").write_text(GRID)
    cell = clone.path / "src/report/cell.py"
    cell.write_text(cell.read_text().replace("EVERY = 180", "EVERY = 3"))
    clone.commit("grid")
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))  # not in tmp_path, in which PostgreSQL's user may not look
    folder.chmod(0o755)
    try:
        with tool.Cluster(folder, clone.path) as started:
            yield started
    finally:
        shutil.rmtree(folder)


def head(clone: Path, log: Path, *arguments: str, **variables: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "src.report", "tiny", *arguments]
    with log.open("a") as stream:
        return subprocess.Popen(command, cwd=clone, env=environment() | variables, stdout=stream, stderr=stream)


def until(true: Callable[[], object], process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 400
    while not true():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.5)


def jobs(running: tool.Cluster) -> dict[str, dict]:
    from ray.job_submission import JobSubmissionClient

    listed = JobSubmissionClient(f"http://{running.ray}").list_jobs()
    return {job.submission_id: job.dict() for job in listed if job.submission_id}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the parts of the cluster are Linux's")
def test_a_cluster_writes_the_rows_of_one_machine_also_when_a_node_is_killed_and_stores_go_away(running, tmp_path):
    import s3fs

    repository, log = running.folder / "repository", tmp_path / "log"
    cells = repository / "tiny/cells.csv"
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = running.environment["AWS_SHARED_CREDENTIALS_FILE"]
    store = s3fs.S3FileSystem(endpoint_url=running.s3, use_listings_cache=False)
    first = head(repository, log, "--workers", f"ray:{running.ray}", **running.environment)

    def uploaded() -> list[str]:
        return [path for path in store.find(f"{tool.BUCKET}/checkpoints") if LONG in path]

    until(uploaded, first, log)
    before = int(uploaded()[0].rsplit("/", 1)[1])  # the epoch
    (long,) = (job for name, job in jobs(running).items() if name.startswith(LONG))
    (number,) = (i for i, ip in enumerate(tool.NODES) if f"//{ip}:" in long["driver_agent_http_address"])
    running.kill(f"node-{number}")
    running.kill("s3")
    running.kill("mlflow")
    first.kill()
    first.wait()
    running.start_s3()
    running.start_mlflow()
    second = head(repository, log, "--workers", f"ray:{running.ray}", **running.environment)
    running.start_node(number)
    assert second.wait(timeout=400) == 0, log.read_text()[-3000:]
