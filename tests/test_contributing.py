"""The recipes of CONTRIBUTING.md, followed literally, with the real dvc and mlflow in a clone."""

import csv
import io
import json
import re
import zipfile
from pathlib import Path

import mlflow
import numpy as np
import pytest
from PIL import Image

from tests.conftest import HERE, Clone, clone_of, commit_working_tree


def recipe(title: str) -> str:
    (found,) = re.findall(
        rf"^## {re.escape(title)}\n(.+?)(?=^## )", (HERE / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return found


def block(title: str, kind: str) -> list[str]:
    (found,) = re.findall(rf"^```{kind}\n(.+?)^```$", recipe(title), re.MULTILINE | re.DOTALL)
    return found.splitlines()


def apply(clone: Clone, title: str) -> None:
    """Makes the edits of a recipe: below the name of a file, `-` takes a line out, `+` puts one below the last."""
    lines: list[str] = []
    for line in block(title, "diff"):
        sign, text = line[0], line[1:]
        if sign == "+":
            lines.insert(place, text)  # noqa: F821
            place += 1  # noqa: F821
        elif sign in " -":
            (place,) = (number for number, one in enumerate(lines, 1) if one.split("  #")[0].rstrip() == text)
            if sign == "-":
                place -= 1
                del lines[place]
        else:
            path = clone.path / line
            lines = path.read_text().splitlines()
        path.write_text("\n".join(lines) + "\n")


def commands(title: str) -> list[list[str]]:
    return [command.split() for command in re.findall(r"`(dvc exp run[^`]*)`", recipe(title))]


def run(clone: Clone, command: list[str], name: str = "tried") -> set[str]:
    """Runs it as it stands there, with a name; returns the stages that ran."""
    done = clone.run(*command, "-n", name)
    return set(re.findall(r"Running stage '(\w+)'", done.stdout))


def scores(clone: Clone) -> dict:
    return json.loads((clone.path / "metrics/eval.json").read_text())


def answers(clone: Clone) -> list[dict]:
    printed = clone.run("python", "-m", "src.predict", "--csv", "--cropped", "docs/images/faces_416.png").stdout
    return list(csv.DictReader(io.StringIO(printed)))


def of_mlflow(clone: Clone, name: str) -> dict:
    client = mlflow.MlflowClient(f"sqlite:///{clone.path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("face-emotions")
    (run,) = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    assert run.info.status == "FINISHED"
    assert "figures/gradcam.png" in {one.path for one in client.list_artifacts(run.info.run_id, "figures")}
    return run.data.params


def write_faces(path: Path) -> None:
    """Dark calm ones and bright cross ones."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for folder, count in (("train", 40), ("test", 12)):
            for label, grey in (("calm", 60), ("cross", 190)):
                for number in range(count):
                    file = io.BytesIO()
                    Image.fromarray(rng.integers(grey, grey + 9, (64, 64), np.uint8)).save(file, "PNG")
                    archive.writestr(f"{folder}/{label}/{number}.png", file.getvalue())


@pytest.fixture
def copy(reproduced, tmp_path) -> Clone:
    """The reproduced repository again, to be edited, with the same cache."""
    clone = clone_of(reproduced.path, tmp_path / "clone")
    clone.run("dvc", "cache", "dir", "--local", str(reproduced.path / ".dvc/cache"))
    clone.run("dvc", "checkout", "-q")
    return clone


@pytest.mark.slow
def test_a_new_param_and_another_kind_of_layer_train_again_and_nothing_before_it(copy):
    apply(copy, "A new param")
    apply(copy, "Another kind of layer")
    (command,) = commands("A new param")
    assert run(copy, command) == {"train", "evaluate", "plot"}
    assert commands("Another kind of layer") == [["dvc", "exp", "run"]]
    assert of_mlflow(copy, "tried")["train.label_smoothing"] == "0.1"
    assert [row["face"] for row in answers(copy)] == ["1"]


@pytest.mark.slow
def test_a_whole_other_network_goes_through_all_stages(copy):
    file = copy.path / "src/model/network.py"
    text = file.read_text()
    start, end = text.index("def stack("), text.index("\n\ndef read(")
    file.write_text(f"{text[:start]}{chr(10).join(block('A whole other network', 'python'))}\n{text[end:]}")
    (command,) = commands("A whole other network")
    assert run(copy, command) == {"train", "evaluate", "plot"}
    trained = json.loads((copy.path / "metrics/train.json").read_text())
    assert trained["parameters"] == 10 * 16 + (9 * 16 + 17 * 32) + (9 * 32 + 33 * 64) + 65 * 7
    assert trained["operations"] == 48**2 * 144 + 24**2 * (144 + 512) + 12**2 * (288 + 2048) + 64 * 7
    assert np.load(copy.path / "data/gradcam.npy")["map"].shape[1:] == (12, 12)
    assert of_mlflow(copy, "tried")["conv_layers"] == "3"
    assert len(answers(copy)) == 1
    copy.set_params({"train.precision": "mixed_bfloat16", "portable": False})
    assert run(copy, command, "mixed") == {"train", "evaluate", "plot"}


@pytest.mark.slow
def test_a_dataset_of_its_own_goes_through_all_stages(tmp_path):
    clone = commit_working_tree(tmp_path / "clone", epochs=8)
    apply(clone, "A new dataset with its own labels")
    write_faces(clone.path / "faces.zip")
    local, kaggle = commands("A new dataset with its own labels")
    assert run(clone, local) == {
        "download",
        "split",
        "usable",
        "segmentation",
        "preprocess",
        "train",
        "evaluate",
        "plot",
    }
    assert scores(clone)["images"] == 24
    assert set(scores(clone)["labels"]) == {"calm", "cross"}
    logged = of_mlflow(clone, "tried")
    assert (logged["dataset"], logged["datasets.mine.labels.calm"]) == ("mine", "10")
    (row,) = answers(clone)
    assert float(row["calm"]) + float(row["cross"]) == pytest.approx(1, abs=1e-3)

    assert kaggle[-2:] == ["-S", "+kaggle.mine=owner/name"]
    refused = clone.run(*kaggle[:-2], ok=False)
    assert "kaggle.mine must name the dataset to take: -S +kaggle.mine=owner/name" in refused.stderr
    # By -S alone, and with labels that cannot be drawn.
    inline = "+datasets.yours={native_size: 48, input_size: 48, labels: {calm: 9, happy: 9}}"
    drawn = clone.run("dvc", "exp", "run", "-S", inline, "-S", "dataset=yours", "-S", "source=rendered", ok=False)
    assert "rendered cannot draw calm; it knows" in drawn.stderr
    assert "-S source=local -S local_path=faces.zip" in drawn.stderr


def test_a_network_that_could_not_be_used_is_refused_before_the_first_epoch_in_one_line(copy):
    file = copy.path / "src/model/network.py"
    text = file.read_text()
    named = 'layers.ReLU(name=f"relu_{number}")'
    assert text.count(named) == 1
    file.write_text(text.replace(named, "layers.ReLU()"))
    done = copy.run("python", "-m", "src.train", ok=False)
    assert done.returncode == 1
    (error,) = (one for one in done.stderr.splitlines() if one.startswith("error: "))
    assert error.startswith("error: src/model/network.py: ")
    assert "give every layer in `stack` a name" in error
    assert "epoch" not in done.stderr.replace(error, "")
    assert not list((copy.path / ".checkpoints").glob("*/[0-9]*"))


def test_a_stage_that_reads_a_param_which_dvc_yaml_does_not_list_is_refused_before_it_computes(copy):
    file = copy.path / "src/split/__main__.py"
    file.write_text(file.read_text().replace("print(table.groupby", "print(params.epochs, table.groupby"))
    done = copy.run("dvc", "repro", "-s", "split", ok=False)
    said = "error: src/split/__main__.py reads epochs; list that among the params of split in dvc.yaml"
    assert said in done.stderr.splitlines()
    assert not (copy.path / "data/manifest.csv").exists()
    file.write_text(file.read_text().replace("print(params.epochs", "p = params; print(p.epochs"))
    done = copy.run("python", "-m", "src.split", ok=False)
    assert "AttributeError: dvc.yaml does not list epochs among the params of this stage" in done.stderr


def test_a_param_that_params_yaml_lacks_is_refused_though_it_has_a_default(copy):
    file = copy.path / "params.yaml"
    file.write_text(file.read_text().replace("  schedule: constant\n", ""))
    done = copy.run("python", "-m", "src.train", ok=False)
    assert (done.returncode, done.stderr) == (1, "error: params.yaml: train.schedule is missing\n")
