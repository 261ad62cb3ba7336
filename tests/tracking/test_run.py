"""The runs that the real MLflow holds afterwards, in a database of its own."""

import json
import math
import subprocess
import time
from collections import Counter

import pytest

from src import tracking
from src.errors import UserError
from src.tracking.run import NOTE
from tests.tracking.conftest import HISTORY, LOAD, client, points, python, runs


def test_a_run_holds_every_param_and_the_very_floats(store, settings):
    with tracking.open_run(settings, "k") as run:
        run.log_history(HISTORY)
    mlflow_client = client(store / "mlflow.db")
    (found,) = runs(mlflow_client)
    assert found.info.status == "FINISHED"
    assert found.data.params["augmentation.zoom"] == "0.2"
    assert found.data.params["datasets.ai.labels.fear"] == "5121"
    assert found.data.params["source"] == "rendered"
    assert found.data.tags["data_sha256"] == "abc"
    assert points(mlflow_client, found.info.run_id, "accuracy/train") == [(1, 0.1), (2, 1 / 3)]


def test_curves_that_belong_together_are_side_by_side(store, settings):
    """`mlflow ui` makes a section of what stands before the slash, and sorts the sections."""
    history = [{"accuracy": 0.1, "loss": 2.0, "val_accuracy": 0.2, "val_loss": 3.0}]
    with tracking.open_run(settings, "k") as run:
        run.log_history(history)
    (found,) = runs(client(store / "mlflow.db"))
    assert found.data.metrics == {
        **{"accuracy/train": 0.1, "accuracy/validation": 0.2},
        **{"loss/train": 2.0, "loss/validation": 3.0},
    }


def test_a_run_names_its_data_once_and_says_where_it_comes_from(store, settings, monkeypatch):
    for _ in range(2):
        with tracking.open_run(settings, "k"):
            pass
    (found,) = runs(client(store / "mlflow.db"))
    (used,) = found.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("ai rendered", "abc")
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]
    assert json.loads(used.dataset.source) == {"uri": "data/raw.zip", "sha256": "abc"}
    assert found.data.tags["mlflow.source.name"] == "dvc repro"
    assert found.info.run_name == "ai conv3 seed1"
    assert not found.data.tags.keys() & found.data.params.keys()
    monkeypatch.setenv("DVC_EXP_NAME", "wider")
    assert tracking.run.Run(settings, "other").entity().info.run_name == "wider"
    monkeypatch.delenv("DVC_EXP_NAME")
    monkeypatch.delenv("DVC_ROOT")
    assert tracking.run.Run(settings, "third").entity().data.tags["mlflow.source.name"] == "python -m src.train"


SCORED = {"accuracy": 0.5, "images": 8, "split": "test", "majority_baseline": 0.25}


def test_the_description_says_how_it_did_unless_somebody_wrote_another(store, settings):
    mlflow_client = client(store / "mlflow.db")
    trained = "3 convolutional layers on ai (rendered), 50 epochs, seed 1.\n\n"
    run = tracking.run.Run(settings, "k")
    assert run.entity().data.tags[NOTE] == f"{trained}Not evaluated yet."
    for _ in range(2):
        run.describe(SCORED)
        says = "50.0% of the 8 test images are right; always the commonest label would be 25.0%."
        assert run.entity().data.tags[NOTE] == trained + says
    mlflow_client.set_tag(run.id, NOTE, "my favourite")
    run.describe(SCORED)
    assert run.entity().data.tags[NOTE] == "my favourite"


def test_an_experiment_of_an_earlier_version_gets_the_view_of_scores_and_keeps_its_description(store, settings):
    mlflow_client = client(store / "mlflow.db")
    mlflow_client.create_experiment(tracking.EXPERIMENT, tags={NOTE: "ours"})
    for _ in range(2):
        with tracking.open_run(settings, "k"):
            pass
    tags = mlflow_client.get_experiment_by_name(tracking.EXPERIMENT).tags
    assert tags[NOTE] == "ours"
    view = json.loads(tags["mlflow.sharedViewState.scores"])
    columns = json.loads(view["state"])["selectedColumns"]
    assert "metrics.`scores/accuracy`" in columns
    (found,) = runs(mlflow_client)
    params = {name.removeprefix("params.`").rstrip("`") for name in columns if name.startswith("params.")}
    assert params <= found.data.params.keys()


def test_going_on_or_running_again_logs_no_step_twice(store, settings):
    for length in (1, 2, 2):
        with tracking.open_run(settings, "k") as run:
            run.log_history(HISTORY[:length])
    (found,) = runs(client(store / "mlflow.db"))
    assert points(client(store / "mlflow.db"), found.info.run_id, "loss/train") == [(1, 2.0), (2, 1.5)]


def test_other_numbers_for_the_same_experiment_replace_its_run(store, settings):
    with tracking.open_run(settings, "k") as run:
        run.log_history(HISTORY)
    changed = [HISTORY[0], {"accuracy": 0.5, "loss": float("nan")}]
    with tracking.open_run(settings, "k") as run:
        run.log_history(changed)
    (found,) = runs(client(store / "mlflow.db"))
    assert points(client(store / "mlflow.db"), found.info.run_id, "accuracy/train") == [(1, 0.1), (2, 0.5)]
    assert [used.dataset.name for used in found.inputs.dataset_inputs] == ["ai rendered"]


def test_a_loss_that_the_database_cannot_hold_is_the_same_number_when_it_is_logged_again(store, settings):
    ids = set()
    for _ in range(2):
        with tracking.open_run(settings, "k") as run:
            run.log_history([{"loss": math.inf}, {"loss": math.nan}])
            ids.add(run.id)
    assert len(ids) == 1


def test_a_failure_marks_the_run_and_the_next_try_continues_it(store, settings):
    def statuses() -> list:
        return [run.info.status for run in runs(client(store / "mlflow.db"))]

    with pytest.raises(RuntimeError), tracking.open_run(settings, "k"):
        raise RuntimeError
    assert statuses() == ["FAILED"]
    with tracking.open_run(settings, "k"):
        assert statuses() == ["RUNNING"]
    assert statuses() == ["FINISHED"]


def test_a_param_that_mlflow_refuses_is_named_and_leaves_one_failed_run_that_is_found_again(store, settings):
    strange = settings.data.model_copy(update={"labels": {"angry?": 1, "sad": 1}})
    named = settings.model_copy(update={"datasets": settings.datasets | {"ai": strange}})
    for _ in range(2):
        with pytest.raises(UserError, match=r"datasets\.ai\.labels\.angry\?") as raised:
            tracking.run.Run(named, "k")
        assert "\n" not in str(raised.value)
        assert "MLFLOW_TRACKING_URI" not in str(raised.value)
    (found,) = runs(client(store / "mlflow.db"))
    assert (found.info.status, found.data.tags[tracking.KEY]) == ("FAILED", "k")


def test_a_run_that_was_killed_before_it_had_params_gets_them_from_the_next_opening(store, settings):
    mlflow_client = client(store / "mlflow.db")
    experiment = mlflow_client.create_experiment(tracking.EXPERIMENT)
    mlflow_client.create_run(experiment, tags={tracking.KEY: "k"})
    with tracking.open_run(settings, "k"):
        pass
    (found,) = runs(mlflow_client)
    assert found.data.params["conv_layers"] == "3"


def test_a_run_that_somebody_deletes_meanwhile_comes_back_with_every_epoch(store, settings):
    mlflow_client = client(store / "mlflow.db")
    with tracking.open_run(settings, "k") as run:
        run.log_history(HISTORY[:1])
        mlflow_client.delete_run(run.id)
        run.log_history(HISTORY)
    (found,) = runs(mlflow_client)
    assert points(mlflow_client, found.info.run_id, "loss/train") == [(1, 2.0), (2, 1.5)]
    assert [used.dataset.name for used in found.inputs.dataset_inputs] == ["ai rendered"]


def test_a_database_that_somebody_deletes_meanwhile_comes_back_with_every_epoch(store, settings):
    with tracking.open_run(settings, "k") as run:
        run.log_history(HISTORY[:1])
        (store / "mlflow.db").unlink()
        run.log_history(HISTORY)
    (found,) = runs(client(store / "mlflow.db"))
    assert points(client(store / "mlflow.db"), found.info.run_id, "loss/train") == [(1, 2.0), (2, 1.5)]
    assert found.info.status == "FINISHED"


def test_a_disk_that_is_full_meanwhile_is_said_and_every_epoch_is_logged_when_there_is_room(store):
    code = (
        f"import os, resource; {LOAD}\n"
        "from src.tracking import stage; stage.SHARE = 0\n"
        "history = [{f'm{n}': n / epoch for n in range(300)} for epoch in (1, 2, 3)]\n"
        "with tracking.open_stage(p, 'k') as tracked:\n"
        "    tracked.log_history(history[:1])\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize('mlflow.db'), resource.RLIM_INFINITY))\n"
        "    tracked.log_history(history[:2])\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "    tracked.log_history(history)"
    )
    process = python(code, store)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    away, back = (line for line in said.splitlines() if line)
    assert "MLflow takes nothing more, training goes on: cannot use the MLflow store at" in away
    assert "MLflow takes runs again" in back
    mlflow_client = client(store / "mlflow.db")
    (found,) = runs(mlflow_client)
    assert [step for step, _ in points(mlflow_client, found.info.run_id, "m299/train")] == [1, 2, 3]


def test_a_deleted_experiment_is_brought_back_by_the_command_that_the_error_names(store, settings):
    with tracking.open_run(settings, "k"):
        pass
    mlflow_client = client(store / "mlflow.db")
    mlflow_client.delete_experiment(mlflow_client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id)
    with pytest.raises(UserError, match="is deleted; bring it back") as raised:
        tracking.run.Run(settings, "k")
    command = str(raised.value).rpartition(": ")[2].split()
    subprocess.run(command, cwd=store, check=True, capture_output=True)
    with tracking.open_run(settings, "k"):
        pass


def test_what_the_environment_says_of_other_experiments_and_runs_changes_nothing(store, settings, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "7")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    with tracking.open_run(settings, "k") as run:
        run.log_history(HISTORY)
    (found,) = runs(client(store / "mlflow.db"))
    assert found.data.metrics["loss/train"] == 1.5


def test_processes_that_start_together_make_one_database_one_experiment_and_a_run_each(repository):
    code = f"import sys; {LOAD}\nwith tracking.open_run(p, sys.argv[1]) as run: run.log_history([{{'loss': 1.0}}])"
    started = [python(code, repository, key) for key in ("a", "b", "b")]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    found = runs(client(repository / "mlflow.db"))
    assert Counter(run.data.tags[tracking.KEY] for run in found) == {"a": 1, "b": 1}


@pytest.mark.slow
def test_trainings_that_start_at_once_on_the_same_data_each_have_a_run_that_names_it(store):
    code = (
        f"{LOAD}\ntracking.connection.prepare(); print('ready', flush=True); input()\n"
        "with tracking.open_run(p, sys.argv[1]): pass"
    )
    started = [python(f"import sys; {code}", store, str(number)) for number in range(6)]
    for process in started:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    digests = [run.inputs.dataset_inputs[0].dataset.digest for run in runs(client(store / "mlflow.db"))]
    assert digests == ["abc"] * 6


def test_two_processes_that_log_the_same_at_once_log_it_once(store):
    code = (
        f"{LOAD}\nwith tracking.open_run(p, 'k') as run:\n"
        "    print('open', flush=True); input()\n"
        "    run.log_history([{f'm{n}': n + epoch / 3 for n in range(60)} for epoch in range(20)])"
    )
    started = [python(code, store) for _ in range(2)]
    for process in started:
        assert process.stdout.readline() == "open\n", process.stderr.read()
    for process in started:  # both have seen an empty run
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(0.02)  # MLflow knows again what is logged twice in one millisecond
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    mlflow_client = client(store / "mlflow.db")
    (found,) = runs(mlflow_client)
    for n in range(60):
        assert [step for step, _ in points(mlflow_client, found.info.run_id, f"m{n}/train")] == list(range(1, 21))
