"""`--workers ray:…` with a real cluster: Ray, S3, PostgreSQL, MLflow's server, two nodes, faults; the same bytes."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tests.conftest import Clone, clone_of, environment, fresh
from tools import cluster as tool

LONG = "tiny-ai-conv3-epochs-120-seed1"
GRID = """
data: tiny drawn faces
params: {threads: 1}
cells:
  - {dataset: ai, epochs: 120}
  - {dataset: ai, seed: [1, 2]}
"""


@pytest.fixture
def running(small, tmp_path) -> Iterator[tool.Cluster]:
    """A cluster for a repository with small params, whose checkpoints go up every three seconds."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin")):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    clone = fresh(small, tmp_path / "small")
    (clone.path / "tiny").mkdir()
    (clone.path / "tiny/grid.yaml").write_text(GRID)
    cell = clone.path / "src/report/cell.py"
    cell.write_text(cell.read_text().replace("EVERY = 180", "EVERY = 3"))
    clone.commit("grid")
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))  # not in tmp_path, into which PostgreSQL's user may not look
    folder.chmod(0o755)
    try:
        with tool.Cluster(folder, clone.path) as started:
            yield started
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def head(running, tmp_path) -> Iterator[Callable[[], subprocess.Popen]]:
    """Starts the command that runs the grid on the cluster."""
    started = []

    def start() -> subprocess.Popen:
        command = [sys.executable, "-m", "src.report", "tiny", "--workers", f"ray:{running.ray}"]
        variables = environment() | running.environment
        with (tmp_path / "log").open("a") as log:
            started.append(subprocess.Popen(command, cwd=running.repository, env=variables, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def until(true: Callable[[], object], process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 400
    while not true():
        assert process.poll() is None and time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the parts of the cluster are Linux's")
def test_a_cluster_writes_the_rows_of_one_machine_also_when_a_node_dies_and_stores_go_away(running, head, tmp_path):
    from ray.job_submission import JobSubmissionClient

    log, ray = tmp_path / "log", JobSubmissionClient(f"http://{running.ray}")
    said = []  # what anybody on the cluster can read

    def printed(cell: str) -> str:
        """By the last try of every cell whose name begins so."""
        texts = []
        for job in ray.list_jobs():
            if (job.submission_id or "").startswith(cell):
                with suppress(RuntimeError):  # there is no log yet, or no longer
                    texts.append(ray.get_job_logs(job.submission_id).split("Running entrypoint for job")[-1])
        return "".join(texts)

    first = head()
    until(lambda: [path for path in running.objects() if "checkpoints/" in path and LONG in path], first, log)
    assert "| 0/120" in printed(LONG)  # as it began
    said.append(printed("tiny"))
    (where,) = (job.driver_agent_http_address for job in ray.list_jobs() if job.submission_id.startswith(LONG))
    (node,) = (number for number, ip in enumerate(tool.NODES) if f"//{ip}:" in where)
    first.kill()
    for part in (f"node-{node}", "s3", "mlflow"):
        running.kill(part)
    running.start_mlflow()
    second = head()
    running.start_node(node)
    until(lambda: "waiting, as" in printed("tiny"), second, log)
    running.start_s3()
    until(lambda: "/120" in printed(LONG), second, log)
    assert "| 0/120" not in printed(LONG)  # it goes on
    running.kill("s3")
    until(lambda: "waiting, as dvc push" in printed("tiny"), second, log)
    running.start_s3()
    assert second.wait(timeout=400) == 0, log.read_text()[-3000:]

    single = clone_of(running.hub, tmp_path / "single")
    single.run(sys.executable, "-m", "src.report", "tiny")
    here, there = (pd.read_csv(path / "tiny/cells.csv") for path in (single.path, running.repository))
    assert len(here) == 3
    pd.testing.assert_frame_equal(*(table.drop(columns="seconds_per_epoch") for table in (here, there)))
    for name in here["name"]:
        assert single.show(name, "dvc.lock") == Clone(running.repository).show(name, "dvc.lock")

    client = mlflow.MlflowClient(running.environment["MLFLOW_TRACKING_URI"])
    runs = client.search_runs([client.get_experiment_by_name("face-emotions").experiment_id])
    assert sorted(run.data.tags["dvc_experiment"] for run in runs) == sorted(here["name"])
    for run in runs:
        epochs = [point.step for point in client.get_metric_history(run.info.run_id, "loss/train")]
        assert (run.info.status, epochs) == ("FINISHED", list(range(1, int(run.data.params["epochs"]) + 1)))

    assert not [path for path in running.objects() if "checkpoints/" in path]
    said += [str(job) for job in ray.list_jobs()] + [log.read_text()]
    said.append(single.run("git", "log", "--all", "-p").stdout)
    assert not [text for text in said if tool.PASSWORD in text]
    submitted = len(ray.list_jobs())
    assert head().wait(timeout=100) == 0
    assert len(ray.list_jobs()) == submitted
