"""One meaning of "the same": what DVC records is what checkpoints, MLflow, environments, rows and verify go by."""

import json
import subprocess
import sys

import mlflow
import pytest
import yaml

from src import identity
from tests.conftest import Clone, fresh

STAGES = ("download", "split", "usable", "segmentation", "preprocess", "train", "evaluate", "plot")
SHOW = "from src import identity; import sys; print(identity.of(sys.argv[1]).key)"


def key(clone: Clone, stage: str = "train") -> str:
    return clone.run("python", "-c", SHOW, stage).stdout.strip()


@pytest.fixture(scope="module")
def clone(reproduced, tmp_path_factory) -> Clone:
    """One that may be edited, with the results of `reproduced`."""
    copy = fresh(reproduced, tmp_path_factory.mktemp("identity") / "clone")
    copy.run("dvc", "repro")
    return copy


@pytest.fixture
def edited(clone):
    """Whatever a test edits is put back."""
    yield clone
    clone.run("git", "checkout", "-q", ".")
    clone.run("git", "clean", "-qfd")


@pytest.mark.parametrize("stage", STAGES)
def test_an_identity_is_what_dvc_has_recorded(clone, stage):
    lock = yaml.safe_load((clone.path / "dvc.lock").read_text())["stages"][stage]
    assert key(clone, stage) == identity.recorded(lock).key


def test_mlflow_and_the_environment_are_filed_under_the_identity_of_train(clone):
    (noted,) = (clone.path / ".environments").iterdir()
    client = mlflow.MlflowClient(f"sqlite:///{clone.path}/mlflow.db")
    experiment = client.get_experiment_by_name("face-emotions").experiment_id
    (run,) = client.search_runs([experiment])
    assert noted.stem == run.data.tags["identity"] == key(clone)
    assert {"cpu.model", "python", "package.tensorflow", "seconds_per_epoch"} <= json.loads(noted.read_text()).keys()


CHANGES = {  # what is edited: does train compute something else then, as DVC says too
    "src/train/fit.py": True,
    "src/train/new.py": True,
    "src/train/rooms/new.py": True,
    "src/model/network.py": True,
    "src/core/files.py": True,
    "src/train/__pycache__/new.pyc": False,
    "src/evaluate/scores.py": False,
    "src/faces/detection.py": False,
    "src/tracking/run.py": False,
    "src/params.py": False,
    "src/command.py": False,
    "src/progress.py": False,
    "src/errors.py": False,
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_edit_is_another_identity_exactly_when_dvc_would_train_again(edited, name):
    before = key(edited)
    path = edited.path / name
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write("# a comment\n")
    stages = json.loads(edited.run("dvc", "status", "--json").stdout)
    assert CHANGES[name] == ("train" in stages) == (key(edited) != before)


@pytest.mark.parametrize(
    ("change", "trains"),
    [
        ({"train.learning_rate": 0.002}, True),
        ({"model.dense_units": 17}, True),
        ({"evaluate.rotations": [-30, 30]}, False),
        ({"layout.skip_others": True}, False),
    ],
)
def test_a_param_is_part_of_the_identity_of_the_stages_that_list_it(edited, change, trains):
    before = key(edited)
    edited.set_params(change)
    stages = json.loads(edited.run("dvc", "status", "train", "--json").stdout)
    assert trains == ("train" in stages) == (key(edited) != before)


def test_another_version_of_a_library_is_another_identity_of_the_stages_that_compute_with_it(edited):
    before = {stage: key(edited, stage) for stage in STAGES}
    path = edited.path / "libraries.yaml"
    path.write_text(path.read_text().replace("tensorflow: ", "tensorflow: 9."))
    changed = {stage for stage in STAGES if key(edited, stage) != before[stage]}
    assert changed == {"usable", "segmentation", "preprocess", "train", "evaluate"}
    # Not through .venv/bin/dvc, which puts what is installed in its place.
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"], cwd=edited.path, capture_output=True, text=True, check=True
    )
    assert set(json.loads(status.stdout)) == changed
    refused = edited.run("python", "-m", "src.train", ok=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: libraries.yaml: tensorflow is 9.")
    edited.run("dvc", "status")
    assert json.loads(edited.run("dvc", "status", "--json").stdout) == {}


def test_evaluating_once_more_stays_in_the_run_of_the_training(edited):
    edited.set_params({"evaluate.rotations": [90]})
    edited.run("dvc", "repro")
    client = mlflow.MlflowClient(f"sqlite:///{edited.path}/mlflow.db")
    experiment = client.get_experiment_by_name("face-emotions").experiment_id
    (run,) = client.search_runs([experiment])
    assert run.data.tags["evaluate.rotations"] == "[90]"
    assert "scores/rotations/90" in run.data.metrics
    assert "environment.json" in {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
