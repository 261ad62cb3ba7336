"""The same commit gives the same bytes, whatever happens on the way."""

import json

import cv2
import mlflow
import pytest
from numpy._core import _multiarray_umath as cpu

from tests.conftest import fresh

# Vector instructions switched off, as far as libraries let themselves be told. TensorFlow is the exception.
LESSER_CPU = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ",
    "JSIMD_FORCENONE": "1",  # libjpeg-turbo
    "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in cpu.__cpu_dispatch__ if cpu.__cpu_features__[name]),
    "OPENCV_CPU_DISABLE": ",".join(name.strip("*?") for name in cv2.getCPUFeaturesLine().split() if name[0] == "*"),
    "OPENCV_IPP": "disabled",
    "OPENBLAS_CORETYPE": "Nehalem",
}


def test_verify_finds_the_same_bytes_elsewhere_under_other_settings_on_one_lesser_core(reproduced, tmp_path):
    """Elsewhere: in a temporary folder, with an empty cache."""
    settings = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "USER": "somebody", "HOME": str(tmp_path), **LESSER_CPU}
    done = reproduced.run("taskset", "-c", "0", "python", "-m", "src.verify", **settings)
    assert done.stdout.endswith("identical: all 14 outputs of HEAD came out with the bytes in its dvc.lock\n")


def test_a_temporary_copy_gives_the_same_bytes(reproduced):
    reproduced.run("dvc", "exp", "run", "--temp", "--force", "-n", "temp")
    assert reproduced.show("temp", "dvc.lock") == reproduced.show("HEAD", "dvc.lock")


@pytest.mark.slow
def test_more_epochs_are_an_experiment_of_their_own_and_equal_a_run_from_scratch(reproduced, tmp_path):
    longer = fresh(reproduced, tmp_path / "longer", epochs=3)
    longer.run("dvc", "repro")
    rows = (longer.path / "metrics/history.csv").read_text().splitlines()
    assert rows[:3] == (reproduced.path / "metrics/history.csv").read_text().splitlines()
    assert len(rows) == 4


@pytest.mark.slow
def test_sync_gives_an_empty_database_every_experiment_once(reproduced, tmp_path):
    clone = fresh(reproduced, tmp_path / "clone")
    clone.run("dvc", "cache", "dir", "--local", str(reproduced.path / ".dvc/cache"))
    clone.run("dvc", "checkout")
    clone.run("dvc", "exp", "run", "-n", "seed-two", "-S", "seed=2", "-S", "epochs=1")
    clone.run("git", "checkout", "-q", ".")
    clone.run("dvc", "checkout", "-q")
    (clone.path / "mlflow.db").unlink()
    for _ in range(2):
        clone.run("python", "-m", "src.sync")
    client = mlflow.MlflowClient(f"sqlite:///{clone.path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("face-emotions").experiment_id])
    assert sorted(run.data.params["seed"] for run in runs) == ["1", "2"]
    (second,) = (run for run in runs if run.data.params["seed"] == "2")
    assert second.data.tags["dvc_experiment"] == "seed-two"
    assert len(client.get_metric_history(second.info.run_id, "val_loss")) == 1
    evaluated = json.loads(clone.show("seed-two", "metrics/eval.json"))
    assert second.data.metrics["eval/loss"] == evaluated["loss"]
    assert clone.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_verify_names_what_differs_from_which_epoch_on_and_where(reproduced):
    failed = reproduced.run("python", "-m", "src.verify", "--threads", "1", ok=False)
    assert failed.returncode == 1
    assert "different: models/model.h5" in failed.stdout
    assert "history.csv differs from epoch 1 on:" in failed.stdout
    assert "environment, committed | here:" in failed.stdout
