"""`python -m src.champion` on the real registry: which model is served, and why."""

import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from src import tracking
from src.core.files import digest
from src.errors import UserError
from src.tracking.champion import ALIAS, METRIC, REGISTERED
from src.tracking.log import TEST_SET
from src.tracking.model import CARRIED, MODEL_MD5
from tests.conftest import HERE, environment
from tests.tracking.conftest import client

MODEL = Path("models/model.h5")
PROCESS = {"DVC_ROOT": ".", "PYTHONPATH": str(HERE), "MLFLOW_DISABLE_TELEMETRY": "true"}


@pytest.fixture
def registry(store) -> mlflow.MlflowClient:
    found = client(store / "mlflow.db")
    found.create_experiment(REGISTERED)
    return found


def scored(registry, name: str, accuracy: float, model: str = "READY", **tags: str | None) -> str:
    """A run as a training and its evaluation leave it, but for the model's files; a tag of None is missing."""
    experiment = registry.get_experiment_by_name(REGISTERED).experiment_id
    tags = {"data_sha256": "d" * 64, TEST_SET: "test, 100 images, abc", MODEL_MD5: name} | tags
    given = {key: value for key, value in tags.items() if value is not None}
    run = registry.create_run(experiment, run_name=name, tags=given).info.run_id
    registry.log_metric(run, METRIC, accuracy, step=0)
    if model:
        logged = registry.create_logged_model(experiment, REGISTERED, run, tags={CARRIED: "face_emotions_1"})
        registry.finalize_logged_model(logged.model_id, "READY") if model == "READY" else None
    return run


def champion(name: str | None = None) -> str:
    """What is said, in a line."""
    said = tracking.challenge(name, MODEL)
    assert "\n" not in said
    return said


def refusal(name: str | None = None) -> str:
    with pytest.raises(UserError) as raised:
        champion(name)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def present(registry) -> tuple[str, str]:
    """Version and run."""
    version = registry.get_model_version_by_alias(REGISTERED, ALIAS)
    return str(version.version), version.run_id


def test_the_first_the_better_the_worse_and_the_equal(registry):
    first, worse, equal, better = (
        scored(registry, name, accuracy)
        for name, accuracy in (("first", 0.7), ("worse", 0.6999), ("equal", 0.7), ("better", 0.8))
    )
    assert champion("first") == "face-emotions version 1 is the champion, the first one, with an accuracy of 0.7000"
    assert champion(first) == "face-emotions version 1 is the champion already, with an accuracy of 0.7000"
    for name, run, accuracy in (("worse", worse, "0.6999"), ("equal", equal, "0.7000")):
        stays = "face-emotions version 1 stays the champion: its accuracy is 0.7000, "
        assert champion(name) == f"{stays}that of the run {run} {accuracy}"
        assert present(registry) == ("1", first)
    now = "face-emotions version 2 is the champion now: its accuracy is 0.8000, that of version 1 0.7000"
    assert champion("better") == now
    assert present(registry) == ("2", better)
    assert len(registry.search_model_versions(f"name = '{REGISTERED}'")) == 2  # who loses is none


REFUSED = {  # what is wrong with the challenger: (its tags and model, what is said)
    "other data": ({"data_sha256": "e" * 64}, r"was scored on other data \(dddddddd\) than the run \w+ \(eeeeeeee\)"),
    "other images": ({TEST_SET: "test, 99 images, abc"}, "other images .test, 100 images, abc. than the run"),
    "not evaluated": ({TEST_SET: None}, "does not say how accurate it is on which images; evaluate it: dvc repro"),
    "no model": ({"model": ""}, "holds no model that can be served.*make mlflow-sync"),
    "killed": ({"model": "PENDING"}, "holds no model that can be served"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_compared_or_served_is_refused_with_the_reason_and_changes_nothing(kind, registry):
    first = scored(registry, "first", 0.7)
    champion("first")
    how, said = REFUSED[kind]
    scored(registry, "other", 0.9, **how)
    assert re.search(said, refusal("other"))
    assert present(registry) == ("1", first)


def test_the_command_that_a_refusal_names_lets_the_other_one_be_champion(registry, store):
    scored(registry, "first", 0.7)
    champion("first")
    other = scored(registry, "other", 0.6, data_sha256="e" * 64)
    command = refusal("other").rpartition("to start anew: ")[2]
    assert command.startswith("python -c ")
    subprocess.run(command, shell=True, env=environment() | PROCESS, check=True, capture_output=True)
    assert champion("other") == "face-emotions version 2 is the champion, the first one, with an accuracy of 0.6000"
    assert present(registry)[1] == other


def test_names_that_are_nobodys_or_of_several_and_a_folder_without_a_model(registry):
    assert refusal("nobody") == "nobody is no MLflow run, by id or name"
    assert refusal("o'nobody") == "o'nobody is no MLflow run, by id or name"
    ids = [scored(registry, "twice", 0.7) for _ in range(2)]
    said = refusal("twice")
    assert said.startswith("twice is the name of 2 MLflow runs; choose one by its id: ")
    assert all(run in said for run in ids)
    assert refusal() == "models/model.h5 does not exist; train one: dvc repro; or name a run of MLflow's"


def test_without_a_name_the_run_that_trained_the_model_in_the_folder_is_meant(registry):
    MODEL.parent.mkdir()
    MODEL.write_bytes(b"the weights")
    assert refusal() == "no MLflow run trained models/model.h5: make mlflow-sync"
    run = scored(registry, "ours", 0.5, **{MODEL_MD5: digest(MODEL, "md5")})
    champion()
    assert present(registry) == ("1", run)


def test_a_champion_whose_run_was_deleted_or_replaced_is_still_compared_with(registry):
    first = scored(registry, "first", 0.7)
    champion("first")
    registry.delete_run(first)
    assert "stays the champion" in champion(scored(registry, "worse", 0.6))
    assert "is the champion now" in champion(scored(registry, "better", 0.8))


def test_an_alias_that_somebody_gave_to_a_version_of_no_run_is_named(registry):
    registry.create_registered_model(REGISTERED)
    registry.create_model_version(REGISTERED, source="file:///nowhere")
    registry.set_registered_model_alias(REGISTERED, ALIAS, "1")
    said = refusal(scored(registry, "ours", 0.7))
    assert said.startswith("face-emotions version 1, the champion, comes from no run, so nothing is known")


def test_a_kill_between_version_and_alias_leaves_no_second_version(registry):
    run = scored(registry, "first", 0.7)
    champion("first")
    registry.delete_registered_model_alias(REGISTERED, ALIAS)
    champion("first")
    assert present(registry) == ("1", run)
    assert len(registry.search_model_versions(f"name = '{REGISTERED}'")) == 1


def test_two_at_once_leave_the_better_one(registry):
    scored(registry, "good", 0.7)
    better = scored(registry, "better", 0.8)
    command = [sys.executable, "-m", "src.champion"]
    started = [
        subprocess.Popen([*command, name], env=environment() | PROCESS, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in ("better", "good")
    ]
    for process in started:
        said, silent = process.communicate(timeout=120)
        assert (process.returncode, silent) == (0, b"")
        assert said.count(b"\n") == 1
    assert present(registry)[1] == better


def test_nothing_was_logged_yet(repository):
    command = [sys.executable, "-m", "src.champion", "any"]
    done = subprocess.run(command, env=environment() | PROCESS, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: any is no MLflow run, by id or name\n"
    assert not (repository / "mlflow.db").exists()
