"""The user's commands, as typed, with the real dvc and mlflow in a clone."""

import csv
import json
import re
import shutil
import subprocess
import time

import mlflow
import pytest
import vl_convert

from tests.conftest import Clone, clone_of, environment
from tests.tracking.conftest import OPENING, Door, serving
from tools.offline_plots import VEGA_LITE

CURVES = {
    "accuracy": "accuracy/train",
    "loss": "loss/train",
    "val_accuracy": "accuracy/validation",
    "val_loss": "loss/validation",
}
SCORES = {f"scores/{name}" for name in ("accuracy", "macro_f1", "loss", "calibration_error", "temperature")}


def metric(clone, name):
    return json.loads((clone.path / "metrics" / name).read_text())


def history(clone):
    with (clone.path / "metrics/history.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def client(reproduced):
    return mlflow.MlflowClient(f"sqlite:///{reproduced.path / 'mlflow.db'}")


def runs(client, **params):
    experiment = client.get_experiment_by_name("face-emotions")
    where = " and ".join(f"params.{name} = '{value}'" for name, value in params.items())
    return client.search_runs([experiment.experiment_id], where)


def test_repro_writes_every_output_and_says_rendered_in_each_metrics_file(reproduced):
    for name in (
        "audit.json",
        "preprocess.json",
        "train.json",
        "eval.json",
        "scores.json",
        "history.csv",
        "confusion.csv",
    ):
        assert "rendered" in (reproduced.path / "metrics" / name).read_text()
    for name in ("samples", "curves", "confusion", "prediction", "mistakes"):
        assert (reproduced.path / f"plots/{name}.png").read_bytes().startswith(b"\x89PNG")
    assert (reproduced.path / "models/model.h5").exists()
    assert len(history(reproduced)) == 2


def test_evaluate_finds_what_the_last_epoch_validated(reproduced):
    last = history(reproduced)[-1]
    evaluated = metric(reproduced, "eval.json")
    assert evaluated["accuracy"] == pytest.approx(float(last["val_accuracy"]), abs=1e-6)
    assert evaluated["loss"] == pytest.approx(float(last["val_loss"]), rel=1e-4)


def test_nothing_is_run_again_and_no_tracked_file_touched(reproduced):
    assert "up to date" in reproduced.run("dvc", "repro").stdout
    assert reproduced.run("git", "status", "--porcelain").stdout == ""


def test_the_run_in_mlflow_holds_curves_scores_figures_and_model(reproduced, client):
    (run,) = runs(client, dataset="ai")
    rows = history(reproduced)
    for column, name in CURVES.items():
        logged = client.get_metric_history(run.info.run_id, name)
        assert [(p.step, p.value) for p in logged] == [(int(row["epoch"]), float(row[column])) for row in rows]
    scored = metric(reproduced, "eval.json")
    assert run.data.metrics["scores/accuracy"] == scored["accuracy"]
    assert run.data.metrics["scores/macro_f1"] == scored["macro_f1"]
    assert run.data.metrics["scores/temperature"] == scored["calibration"]["temperature"]
    assert set(run.data.metrics) == {*CURVES.values(), *SCORES}  # each of them is a chart
    (point,) = client.get_metric_history(run.info.run_id, "scores/accuracy")
    assert point.step == 0  # of which `mlflow ui` draws a bar, not a curve of one point
    assert run.data.tags["mlflow.source.git.commit"] in reproduced.run("git", "log", "--format=%H").stdout
    figures = {artifact.path for artifact in client.list_artifacts(run.info.run_id, "figures")}
    assert "figures/curves.png" in figures
    tables = {artifact.path for artifact in client.list_artifacts(run.info.run_id, "metrics")}
    assert tables == {"metrics/confusion.csv", "metrics/eval.json", "metrics/train.json"}
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert (model.source_run_id, model.status) == (run.info.run_id, "READY")
    assert {one.key: one.value for one in model.metrics} == {name: run.data.metrics[name] for name in SCORES}


def test_the_run_says_what_it_is_and_nothing_twice(reproduced, client):
    (run,) = runs(client, dataset="ai")
    scored = metric(reproduced, "eval.json")
    assert run.info.run_name == "ai conv3 seed1"
    assert run.data.tags["mlflow.source.name"] == "dvc repro"
    trained, evaluated = run.data.tags["mlflow.note.content"].split("\n\n")
    assert trained == "3 convolutional layers on ai (rendered), 2 epochs, seed 1."
    assert evaluated.startswith(f"{scored['accuracy']:.1%} of the {scored['images']} validation images are right")
    ours = {name for name in run.data.tags if not name.startswith("mlflow.")}
    ours.discard("dvc_experiment")  # of another test, whose experiment trains the same
    assert ours == {"identity", "data_sha256", "test_set", "model_md5", "evaluate.rotations"}
    (used,) = run.inputs.dataset_inputs
    data = metric(reproduced, "preprocess.json")
    assert (used.dataset.name, used.dataset.digest) == ("ai rendered", data["data_sha256"][:8])
    assert json.loads(used.dataset.profile)["num_rows"] == data["images"]


def test_an_invalid_param_stops_the_experiment_with_its_name(reproduced):
    failed = reproduced.run("dvc", "exp", "run", "-S", "conv_layers=7", ok=False)
    assert failed.returncode != 0
    assert "conv_layers = 7 is not allowed" in failed.stdout + failed.stderr
    reproduced.run("git", "checkout", "-q", ".")  # dvc removes a stage's outputs before it runs
    reproduced.run("dvc", "checkout", "-q")


@pytest.mark.parametrize("value", ["../../../outside", "/tmp/outside", "ai/../..", ""])
def test_no_param_can_name_a_path_that_dvc_would_delete(reproduced, tmp_path, value):
    """DVC removes a stage's outputs before any code of ours can look at the params."""
    clone = clone_of(reproduced.path, tmp_path / "a/b/c/clone")
    outside = tmp_path / "a/b/outside"
    (outside / "images").mkdir(parents=True)
    clone.set_params({"dataset": value})
    failed = clone.run("dvc", "repro", "-s", "download", ok=False)
    assert f"dataset = {value!r} is not allowed" in failed.stderr
    shutil.copytree(reproduced.path / "data", clone.path / "data", dirs_exist_ok=True)
    failed = clone.run("dvc", "repro", "-s", "preprocess", ok=False)
    assert f"dataset = {value!r} is not allowed" in failed.stderr
    assert (outside / "images").is_dir()
    assert {path.name for path in clone.path.parent.iterdir()} == {"clone"}
    assert not [line for line in (clone.path / "dvc.yaml").read_text().splitlines() if "${" in line]


def test_a_dead_tracking_server_stops_before_training(reproduced, tmp_path):
    clone = clone_of(reproduced.path, tmp_path / "clone")
    clone.run("dvc", "cache", "dir", "--local", str(reproduced.path / ".dvc/cache"))
    clone.set_params({"seed": 5})
    failed = clone.run("dvc", "repro", ok=False, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert failed.returncode != 0
    assert "MLFLOW_TRACKING_URI: cannot use the MLflow store at http://127.0.0.1:9" in failed.stderr
    assert not (clone.path / "models/model.h5").exists()


def test_a_server_that_is_gone_after_the_outputs_are_written_fails_no_stage(reproduced):
    done = reproduced.run("python", "-m", "src.plot", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    (said,) = (line for line in done.stderr.splitlines() if "MLflow" in line)
    assert "the outputs are complete, but MLflow has not all of them" in said
    assert "`make mlflow-sync`" in said
    assert reproduced.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_a_server_that_goes_away_in_a_training_costs_neither_it_nor_a_byte(reproduced, tmp_path):
    clone = clone_of(reproduced.path, tmp_path / "clone")
    clone.run("dvc", "cache", "dir", "--local", str(reproduced.path / ".dvc/cache"))
    clone.run("dvc", "checkout")
    with serving(tmp_path) as server, Door.before(server) as door:
        client = mlflow.MlflowClient(server)
        clone.run("python", "-c", "from src import tracking; tracking.prepare()", MLFLOW_TRACKING_URI=server)
        door.answer, door.after = (500, b"oops"), OPENING + 2  # and the first epoch
        done = clone.run("python", "-m", "src.train", MLFLOW_TRACKING_URI=door.uri)
        away, left = (line for line in done.stderr.splitlines() if line.startswith("warning"))
        assert "MLflow takes nothing more, training goes on" in away
        assert "MLflow has not all of them" in left
        assert "Data and pipelines are up to date" in clone.run("dvc", "status").stdout
        door.answer = None
        clone.run("python", "-m", "src.plot", MLFLOW_TRACKING_URI=door.uri)
        (run,) = runs(client)
        assert [point.step for point in client.get_metric_history(run.info.run_id, "loss/train")] == [1, 2]
        assert "environment.json" in {artifact.path for artifact in client.list_artifacts(run.info.run_id)}


def written(clone) -> dict:
    """When each artifact was."""
    return {path: path.stat().st_mtime_ns for path in (clone.path / "mlruns").rglob("*")}


@pytest.mark.slow
def test_a_project_that_was_moved_predicts_with_the_models_of_its_old_runs(reproduced, client, tmp_path):
    (run,) = runs(client, conv_layers=3)
    copy, moved = Clone(tmp_path / "copy"), Clone(tmp_path / "moved")
    shutil.copytree(reproduced.path, copy.path)
    before = written(reproduced)
    copy.run("python", "-m", "src.plot")
    assert written(reproduced) == before
    copy.path.rename(moved.path)
    predict = ("python", "-m", "src.predict", "--cropped", "docs/images/faces_416.png", "--run", run.info.run_id)
    assert "faces_416.png" in moved.run(*predict).stdout
    assert not copy.path.exists()
    load = "import mlflow; model = mlflow.search_logged_models(output_format='list')[0]; "
    load += "mlflow.pyfunc.load_model(f'models:/{model.model_id}')"
    moved.run("python", "-c", load, MLFLOW_EXPERIMENT_NAME="face-emotions")


@pytest.mark.slow
def test_an_experiment_in_a_temporary_copy_finds_local_faces_and_lands_in_the_repositorys_mlflow(reproduced, client):
    shutil.copy(reproduced.path / "data/raw.zip", reproduced.path.parent / "faces.zip")
    local = ["-S", "source=local", "-S", "local_path=../faces.zip"]
    reproduced.run("dvc", "exp", "run", "--temp", "-n", "two-layers", "-S", "conv_layers=2", *local)
    (run,) = runs(client, conv_layers=2)
    assert run.data.params["source"] == "local"
    assert run.data.tags["mlflow.source.name"] == "dvc exp run"
    assert run.data.tags["dvc_experiment"] == run.info.run_name == "two-layers"
    assert {a.path for a in client.list_artifacts(run.info.run_id, "figures")} >= {"figures/curves.png"}
    compared = json.loads(reproduced.run("dvc", "metrics", "diff", "HEAD", "two-layers", "--json").stdout)
    assert set(compared) == {"metrics/scores.json"}
    assert compared["metrics/scores.json"]["parameters"]["diff"] != 0
    table = reproduced.run("dvc", "metrics", "diff", "HEAD", "two-layers").stdout
    assert max(map(len, table.splitlines())) <= 80
    listed = reproduced.run(
        "dvc", "exp", "show", "--only-changed", "--drop", ".*/|Created|local_path|source|faces"
    ).stdout
    assert max(map(len, listed.splitlines())) <= 135, listed
    charts = json.loads(reproduced.run("dvc", "plots", "diff", "HEAD", "two-layers", "-o", "shown", "--json").stdout)
    for name in ("accuracy", "loss", "confusion"):
        (chart,) = charts["data"][name]
        assert {row["rev"] for row in chart["content"]["data"]["values"]} == {"HEAD", "two-layers"}
    reproduced.run("rm", "-rf", "shown")
    params = json.loads(reproduced.run("dvc", "params", "diff", "HEAD", "two-layers", "--json").stdout)
    assert params["params.yaml"]["conv_layers"] == {"old": 3, "new": 2, "diff": -1}
    assert reproduced.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_three_datasets_queued_on_two_workers_all_land_and_side_by_side_give_the_same_bytes(reproduced, client):
    reproduced.run("dvc", "exp", "run", "--queue", "--force", "-n", "queued")
    reproduced.run("dvc", "exp", "run", "--queue", "-S", "dataset=ai_half,ai2", "-S", "epochs=1")
    # Without its pipes: the workers go on in the background and would keep them open.
    subprocess.run(["dvc", "queue", "start", "-j", "2"], cwd=reproduced.path, env=environment(), check=True)
    try:
        listed = wait_for_queue(reproduced)
    finally:
        reproduced.run("dvc", "queue", "stop", "--kill", ok=False)
    assert listed.count("Success") == 3, listed
    assert reproduced.show("queued", "dvc.lock") == reproduced.show("HEAD", "dvc.lock")
    found = {run.data.params["dataset"]: run for run in runs(client) if run.data.params["epochs"] == "1"}
    assert set(found) == {"ai_half", "ai2"}
    assert all(run.info.status == "FINISHED" and "scores/accuracy" in run.data.metrics for run in found.values())
    assert reproduced.run("git", "status", "--porcelain").stdout == ""


def wait_for_queue(clone) -> str:
    for _ in range(120):
        # Prints the table, but may fail on a worker that is just writing its answer (celery/kombu#1551).
        listed = clone.run("dvc", "queue", "status", ok=False).stdout
        if listed.count("Success") + listed.count("Failed") >= 3:
            break
        time.sleep(5)  # asking costs a core a second
    return listed


def test_plots_show_has_no_empty_chart_and_needs_no_internet(reproduced):
    reproduced.run("python", "-m", "tools.offline_plots")
    charts = json.loads(reproduced.run("dvc", "plots", "show", "-o", "shown", "--json").stdout)["data"]
    assert {name for name in charts if not name.startswith("plots/")} == {"accuracy", "loss", "confusion"}
    drawn = {
        name: vl_convert.vegalite_to_svg(charts[name][0]["content"], vl_version=VEGA_LITE)
        for name in ("accuracy", "loss", "confusion")
    }
    for name in ("accuracy", "loss"):  # of training and validation, each from the first epoch to the second
        assert len(re.findall('aria-roledescription="line mark"[^>]* d="M[^"]*L', drawn[name])) >= 2
    assert drawn["confusion"].count('aria-roledescription="rect mark"') > 7
    reproduced.run("dvc", "plots", "show", "-o", "shown")
    page = (reproduced.path / "shown/index.html").read_text()
    for title in ("Accuracy per epoch", "Loss per epoch", "Confusion", "curves.png", "window.vegaEmbed"):
        assert title in page
    assert not re.findall("<script[^>]* src", page)
    reproduced.run("rm", "-r", "shown")
