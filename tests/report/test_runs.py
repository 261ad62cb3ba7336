"""`python -m src.report` with the real queue: killed anywhere, run again, only what is missing runs."""

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from threading import Timer

import pytest

from src.errors import UserError
from src.report import local
from tests.conftest import Clone, environment, fresh

GRID = """
data: tiny drawn faces
params: {}
cells:
  - {dataset: ai, seed: [1, 2]}
  - {dataset: ai_half}
"""


def processes_in(folder: Path) -> list[int]:
    """The processes, queue workers and trainers among them, whose working directory is in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
        except OSError:  # gone by now
            continue
    return found


def end_at_once(processes: Collection[int]) -> None:
    """As when the machine goes down: none sees another one end, which DVC would write down as a failure."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, number)


def rows(clone: Clone) -> list[str]:
    path = clone.path / "tiny/cells.csv"
    return path.read_text().splitlines()[1:] if path.exists() else []


def test_a_half_written_answer_in_the_queue_is_waited_out(small, tmp_path):
    clone = fresh(small, tmp_path / "grid")
    half_written = clone.path / ".dvc/tmp/exps/celery/broker/control/celery.pidbox.exchange"
    half_written.parent.mkdir(parents=True)
    half_written.touch()
    failed = clone.run("dvc", "queue", "status", ok=False)
    assert "Expecting value" in failed.stderr
    with pytest.raises(UserError, match="Expecting value"):
        local._status(clone.path)
    timer = Timer(1, half_written.unlink)
    timer.start()
    assert local._status(clone.path) == {}
    timer.join()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the queue's workers in /proc")
def test_a_killed_grid_goes_on_with_the_missing_cells_and_a_finished_one_changes_nothing(small, tmp_path):
    clone = fresh(small, tmp_path / "grid")
    (clone.path / "tiny").mkdir()
    (clone.path / "tiny/grid.yaml").write_text(GRID)
    command = [sys.executable, "-m", "src.report", "tiny"]

    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(command, cwd=clone.path, env=environment(), stdout=log, stderr=log)
    end = time.monotonic() + 600
    while not rows(clone) and first.poll() is None and time.monotonic() < end:
        time.sleep(1)
    before = rows(clone)
    end_at_once([first.pid, *processes_in(clone.path)])
    first.wait()
    assert 0 < len(before) < 3, (tmp_path / "log").read_text()[-3000:]

    subprocess.run(command, cwd=clone.path, env=environment(), check=True, timeout=900, stdout=subprocess.DEVNULL)
    assert len(rows(clone)) == 3
    assert set(before) <= set(rows(clone))
    versions = f"python {platform.python_version()}; tensorflow {version('tensorflow')}; keras {version('keras')}"
    assert all(versions in row for row in rows(clone))
    listed = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    assert sorted(ref.rsplit("/", 1)[1] for ref in listed if "/tiny-" in ref) == [
        *("tiny-ai-conv3-seed1", "tiny-ai-conv3-seed2"),
        "tiny-ai-half-conv3-seed1",
    ]
    files = {path: path.read_bytes() for path in (clone.path / "tiny").rglob("*") if path.is_file()}
    assert clone.run(*command).stdout == "tiny/README.md: 3 of 3 cells\n"
    assert {path: path.read_bytes() for path in (clone.path / "tiny").rglob("*") if path.is_file()} == files


def started(clone: Clone, log: Path) -> subprocess.Popen:
    """The grid on one core, so with one worker, when its first row is there."""
    (clone.path / "tiny").mkdir()
    (clone.path / "tiny/grid.yaml").write_text(GRID)
    only = str(min(os.sched_getaffinity(0)))
    command = ["taskset", "-c", only, sys.executable, "-m", "src.report", "tiny"]
    with log.open("w") as stream:
        report = subprocess.Popen(command, cwd=clone.path, env=environment(), stdout=stream, stderr=stream)
    end = time.monotonic() + 600
    while not rows(clone) and report.poll() is None and time.monotonic() < end:
        time.sleep(1)
    return report


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="taskset is Linux's")
def test_a_cell_that_somebody_takes_out_of_the_queue_is_named_and_the_others_are_kept(small, tmp_path):
    clone = fresh(small, tmp_path / "grid")
    report = started(clone, tmp_path / "log")
    clone.run("dvc", "queue", "remove", "tiny-ai-half-conv3-seed1")
    assert report.wait(timeout=900) == 1
    message = "tiny-ai-half-conv3-seed1 is no longer in DVC's queue; run the command again"
    assert message in (tmp_path / "log").read_text()
    assert len(rows(clone)) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the queue's worker in /proc")
def test_a_worker_that_ends_is_replaced(small, tmp_path):
    clone = fresh(small, tmp_path / "grid")
    report = started(clone, tmp_path / "log")
    workers = [
        process
        for process in processes_in(clone.path)
        if b"queue-worker" in Path(f"/proc/{process}/cmdline").read_bytes()
    ]
    assert workers, (tmp_path / "log").read_text()[-3000:]
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert report.wait(timeout=900) == 0, (tmp_path / "log").read_text()[-3000:]
    assert len(rows(clone)) == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the queue's worker in /proc")
def test_a_cell_is_stopped_when_nothing_trains_it_and_not_when_its_worker_is_too_busy_to_answer(small, tmp_path):
    clone = fresh(small, tmp_path / "grid", epochs=2000)
    clone.run("dvc", "exp", "run", "--queue", "--name", "long")
    # Without pipes, which the worker would keep open.
    subprocess.run(["dvc", "queue", "start"], cwd=clone.path, env=environment(), stdout=subprocess.DEVNULL, check=True)
    end = time.monotonic() + 120
    try:
        while not list(clone.path.glob(".checkpoints/*/0*")) and time.monotonic() < end:
            time.sleep(1)
        working = processes_in(clone.path)
        commands = {process: Path(f"/proc/{process}/cmdline").read_bytes() for process in working}
        (worker,) = (process for process, command in commands.items() if b"queue-worker" in command)
        os.kill(worker, signal.SIGSTOP)
        assert (local._status(clone.path), local._workers(clone.path)) == ({"long": "Running"}, 1)
        end_at_once(working)  # the worker too: the kernel wakes a stopped one whose parent dies, and it writes Failed
        assert (local._status(clone.path), local._workers(clone.path)) == ({"long": "Stopped"}, 0)
    finally:
        end_at_once(processes_in(clone.path))
