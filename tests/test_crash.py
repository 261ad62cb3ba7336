"""Whatever is killed, and when: it goes on, and ends with the bytes of an undisturbed run."""

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import mlflow
import pytest

from tests import kills
from tests.conftest import Clone, environment, found, fresh
from tests.kills import kill, start


def wait_for(condition, process: subprocess.Popen, seconds: float = 240):
    """Polls until `condition()` gives something or the process ends."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.002)
    return condition()


def checkpoints(clone: Clone) -> list[Path]:
    return sorted((clone.path / ".checkpoints").glob("*/0*"))


def half_written(clone: Clone) -> list[Path]:
    return list((clone.path / ".checkpoints").glob("*/.*.part"))


@pytest.mark.slow
def test_killed_at_random_and_while_writing_a_checkpoint_it_ends_with_the_bytes_of_an_undisturbed_run(small, tmp_path):
    # One layer: its dense weights make a checkpoint large enough to be caught in the middle of writing it.
    params = {"epochs": 6, "conv_layers": 1, "model.dense_units": 256}
    undisturbed = fresh(small, tmp_path / "undisturbed", **params)
    undisturbed.run("dvc", "repro")

    clone, log = fresh(small, tmp_path / "killed", **params), tmp_path / "log"
    moments = random.Random(7)

    process = start(clone, log)  # before training: while faces are drawn, or hashed, or decoded
    time.sleep(moments.uniform(2, 8))
    kill(process)
    process = start(clone, log)
    assert wait_for(lambda: len(checkpoints(clone)) >= 2, process)
    while not half_written(clone):  # a kill can come too late: then at the next epoch
        assert wait_for(lambda: half_written(clone), process), "no checkpoint was caught half-written"
        kill(process)
        if not half_written(clone):
            process = start(clone, log)
    done = int(checkpoints(clone)[-1].name)
    process = start(clone, log)
    assert wait_for(lambda: checkpoints(clone) and int(checkpoints(clone)[-1].name) > done, process)
    kill(process)
    assert start(clone, log).wait() == 0, log.read_text()[-3000:]

    # Each clone has a cache of its own, so this is what the resumed trainings computed, and they did resume.
    assert f"continuing after epoch {done} of 6" in log.read_text()
    assert (clone.path / "dvc.lock").read_text() == (undisturbed.path / "dvc.lock").read_text()
    assert checkpoints(clone) == []
    client = mlflow.MlflowClient(f"sqlite:///{clone.path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("face-emotions").experiment_id])
    assert [point.step for point in client.get_metric_history(run.info.run_id, "loss/train")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_killed_after_its_last_checkpoint_it_finishes(reproduced, tmp_path):
    clone, log = fresh(reproduced, tmp_path / "killed"), tmp_path / "log"
    process = start(clone, log)
    assert wait_for(lambda: [path for path in checkpoints(clone) if path.name == "000002"], process)
    kill(process)  # the second epoch of two: nothing is left to train
    assert not (clone.path / "models/model.h5").exists()
    assert start(clone, log).wait() == 0, log.read_text()[-3000:]
    assert "continuing after epoch 2 of 2" in log.read_text()
    assert (clone.path / "dvc.lock").read_text() == (reproduced.path / "dvc.lock").read_text()


@pytest.mark.slow
def test_a_trainer_whose_dvc_died_is_waited_for(small, tmp_path):
    clone, log = fresh(small, tmp_path / "orphan", epochs=12), tmp_path / "log"
    process = start(clone, log)
    assert wait_for(lambda: checkpoints(clone), process)
    (holder,) = (clone.path / ".checkpoints").glob("*.pid")
    trainer = int(holder.read_text())
    process.kill()
    process.wait()
    os.kill(trainer, 0)  # it lives
    assert start(clone, log).wait() == 0, log.read_text()[-3000:]
    said = log.read_text()
    assert f"process {trainer} is training this very experiment: waiting for it" in said
    assert "continuing after epoch 12 of 12" in said  # the second one found nothing left to train


@pytest.mark.slow
def test_ten_kills_in_all_stages_end_with_the_bytes_of_an_undisturbed_run(small, tmp_path):
    """`python -m tests.kills` does the same for as many as one likes."""
    undisturbed = fresh(small, tmp_path / "undisturbed", epochs=6)
    seconds = kills.durations(undisturbed, tmp_path / "log")
    clone = fresh(small, tmp_path / "killed", epochs=6)
    outcome = kills.killed(clone, tmp_path / "killed.log", seconds, random.Random(11))
    assert outcome.wrong == ""
    assert len(outcome.kills) >= 6
    assert kills.difference(clone, undisturbed, 6) == ""


@pytest.mark.real
def test_twenty_kills_in_one_run_of_ten_epochs_on_real_faces(small, tmp_path):
    params = {"epochs": 10, "model.dense_units": 512, "source": "local", "local_path": str(found("fer2013.zip"))}
    undisturbed = fresh(small, tmp_path / "undisturbed", **params)
    undisturbed.run("dvc", "repro")
    clone, log = fresh(small, tmp_path / "killed", **params), tmp_path / "log"
    moments = random.Random(11)
    for number in range(20):
        process, before = start(clone, log), checkpoints(clone)
        trains = number % 3 == 2  # then somewhere after the next epoch; otherwise at any time up to training
        if trains:
            assert wait_for(lambda before=before: checkpoints(clone) not in ([], before), process)
        time.sleep(moments.uniform(0, 8 if trains else 12))
        assert process.poll() is None, "it was complete before it was killed often enough"
        kill(process)
    assert start(clone, log).wait() == 0, log.read_text()[-3000:]
    assert log.read_text().count("continuing after epoch") >= 5
    assert (clone.path / "dvc.lock").read_text() == (undisturbed.path / "dvc.lock").read_text()


def sizes_seen(path: Path, clone: Clone, *command: str) -> set[int]:
    """The sizes that a file has while a command runs."""
    process = subprocess.Popen(command, cwd=clone.path, env=environment(), stdout=subprocess.DEVNULL)
    seen = set()
    while process.poll() is None:
        if path.exists():
            seen.add(path.stat().st_size)
    assert process.returncode == 0
    return seen


def test_dvc_never_has_a_half_written_file(reproduced, tmp_path):
    """The `dvc` of this environment; that of the package alone is the negative control."""
    shutil.copytree(reproduced.path, tmp_path / "copy", symlinks=True)
    clone = Clone(tmp_path / "copy")
    for name, command in (("dvc.lock", ("commit", "--force")), (".dvc/tmp/rwlock", ("repro",))):
        seen = sizes_seen(clone.path / name, clone, "dvc", *command)
        assert seen and 0 not in seen
        assert any(0 in sizes_seen(clone.path / name, clone, "python", "-m", "dvc", *command) for _ in range(20))
