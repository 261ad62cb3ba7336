"""The same commit gives the same bytes, whatever happens on the way."""

import json
import re
import shutil
import subprocess
import sys

import cv2
import mlflow
import pytest
from numpy._core import _multiarray_umath as cpu
from ruamel.yaml import YAML

from tests.conftest import environment, fresh

# Vector instructions switched off, as far as libraries let themselves be told. TensorFlow is the exception.
LESSER_CPU = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ",
    "JSIMD_FORCENONE": "1",  # libjpeg-turbo
    "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in cpu.__cpu_dispatch__ if cpu.__cpu_features__[name]),
    "OPENCV_CPU_DISABLE": ",".join(name.strip("*?") for name in cv2.getCPUFeaturesLine().split() if name[0] == "*"),
    "OPENCV_IPP": "disabled",
    "OPENBLAS_CORETYPE": "Nehalem",
}


@pytest.mark.slow
def test_verify_finds_the_same_bytes_elsewhere_under_other_settings_on_one_lesser_core(reproduced, tmp_path):
    """Elsewhere: in a temporary folder, with an empty cache."""
    settings = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "USER": "somebody", "HOME": str(tmp_path), **LESSER_CPU}
    settings["KERAS_BACKEND"] = "jax"
    done = reproduced.run("taskset", "-c", "0", "python", "-m", "src.verify", **settings)
    assert "set outside the repository, without effect:\n  KERAS_BACKEND: jax\n" in done.stdout
    assert done.stdout.endswith("identical: all 20 outputs of HEAD came out with the bytes in its dvc.lock\n")


@pytest.mark.slow
def test_a_temporary_copy_gives_the_same_bytes_and_logs_to_the_repositorys_relative_store(reproduced):
    reproduced.run("dvc", "exp", "run", "--temp", "--force", "-n", "temp", MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert reproduced.show("temp", "dvc.lock") == reproduced.show("HEAD", "dvc.lock")
    (run,) = (run for run in runs(reproduced)[1] if run.data.tags.get("dvc_experiment") == "temp")
    assert run.info.status == "FINISHED"
    assert (reproduced.path / f"mlruns/{run.info.run_id}/artifacts/figures/curves.png").exists()


@pytest.mark.slow
def test_more_epochs_are_an_experiment_of_their_own_and_equal_a_run_from_scratch(reproduced, tmp_path):
    longer = fresh(reproduced, tmp_path / "longer", epochs=3)
    longer.run("dvc", "repro")
    rows = (longer.path / "metrics/history.csv").read_text().splitlines()
    assert rows[:3] == (reproduced.path / "metrics/history.csv").read_text().splitlines()
    assert len(rows) == 4


@pytest.fixture(scope="module")
def with_an_experiment(reproduced, tmp_path_factory):
    clone = fresh(reproduced, tmp_path_factory.mktemp("experiment") / "clone")
    clone.run("dvc", "cache", "dir", "--local", str(clone.path.parent / "cache"))
    shutil.copytree(reproduced.path / ".dvc/cache", clone.path.parent / "cache")
    clone.run("dvc", "checkout")
    clone.run("dvc", "exp", "run", "-n", "seed-two", "-S", "seed=2", "-S", "epochs=1")
    clone.run("git", "checkout", "-q", ".")
    clone.run("dvc", "checkout", "-q")
    (clone.path / "mlflow.db").unlink()
    return clone


def runs(clone, database="mlflow.db"):
    client = mlflow.MlflowClient(f"sqlite:///{clone.path / database}")
    return client, client.search_runs([client.get_experiment_by_name("face-emotions").experiment_id])


@pytest.mark.slow
def test_sync_gives_an_empty_database_every_experiment_once_also_two_at_once(with_an_experiment):
    clone = with_an_experiment
    command = [sys.executable, "-m", "src.sync"]
    started = [subprocess.Popen(command, cwd=clone.path, env=environment(), stderr=subprocess.PIPE) for _ in range(2)]
    for process in started:
        _, said = process.communicate(timeout=600)
        assert process.returncode == 0, said.decode()
    client, found = runs(clone)
    client.delete_tag(found[0].info.run_id, "model_md5")  # as a kill after its model was logged would leave it
    clone.run("python", "-m", "src.sync")
    client, found = runs(clone)
    assert sorted(run.data.params["seed"] for run in found) == ["1", "2"]
    (second,) = (run for run in found if run.data.params["seed"] == "2")
    assert second.data.tags["dvc_experiment"] == "seed-two"
    for run in found:
        for name in run.data.metrics:
            steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
            assert len(steps) == len(set(steps))
    evaluated = json.loads(clone.show("seed-two", "metrics/eval.json"))
    assert second.data.metrics["scores/loss"] == evaluated["loss"]
    assert len(client.search_logged_models([second.info.experiment_id])) == 2
    assert clone.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_sync_names_what_it_cannot_log_and_logs_the_others(with_an_experiment):
    clone = with_an_experiment
    clone.run("dvc", "exp", "run", "-n", "spelled", "-S", "epochs=2.0")  # DVC takes it for the 2 that it knows
    clone.run("git", "checkout", "-q", ".")
    model = YAML(typ="safe").load(clone.show("seed-two", "dvc.lock"))["stages"]["train"]["outs"]
    (md5,) = (out["md5"] for out in model if out["path"] == "models/model.h5")
    (clone.path.parent / f"cache/files/md5/{md5[:2]}/{md5[2:]}").unlink()
    done = clone.run("python", "-m", "src.sync", ok=False, MLFLOW_TRACKING_URI="sqlite:///mlflow.db.empty")
    assert done.returncode == 1
    *named, count = (line for line in done.stderr.splitlines() if line.startswith("error"))
    assert len(named) == 2
    assert re.search("spelled is not logged: params.yaml: epochs = 2.0 is not allowed", "\n".join(named))
    assert re.search("seed-two is not logged: DVC's cache has not all of its outputs; `dvc fetch`", "\n".join(named))
    assert count == "error: 2 of 3 experiments are not logged, the others are"
    _, (run,) = runs(clone, "mlflow.db.empty")
    assert run.data.params["seed"] == "1"
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_verify_names_what_differs_from_which_epoch_on_and_where(reproduced):
    failed = reproduced.run("python", "-m", "src.verify", "--threads", "1", ok=False)
    assert failed.returncode == 1
    assert "different: models/model.h5" in failed.stdout
    assert "history.csv differs from epoch 1 on:" in failed.stdout
    assert "environment, committed | here:" in failed.stdout
