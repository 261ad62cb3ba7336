"""`python -m src.predict` as a user types it, after `dvc repro`."""

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from src.model import calibration
from src.revisions import resolve
from tests.conftest import HERE, Clone

PREDICT = ("python", "-m", "src.predict")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Photos of every kind, with drawn faces."""
    folder = tmp_path_factory.mktemp("photos")
    sheet = Image.open(HERE / "docs/images/faces_416.png").convert("RGB")
    one = sheet.crop((1005, 258, 1205, 458))
    one.save(folder / "1-one.png")
    sheet.crop((790, 258, 1205, 458)).save(folder / "2-two.png")
    sideways = Image.Exif()
    sideways[0x0112] = 6  # the camera was turned: to be shown turned clockwise
    one.rotate(90, expand=True).save(folder / "3-sideways.png", exif=sideways)
    Image.new("L", (120, 90), 128).save(folder / "4-empty.png")
    one.save(folder / "5-whole.jpg")
    whole = (folder / "5-whole.jpg").read_bytes()
    (folder / "5-whole.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "6-text.png").write_text("no picture")
    Image.new("1", (20_000, 4_000)).save(folder / "7-bomb.png")
    Image.fromarray(np.full((60, 60), 40_000, np.uint16)).save(folder / "8-deep.png")
    (folder / "9-note.txt").write_text("not an image by its name")
    (folder / "none").mkdir()
    return folder


def test_every_photo_is_a_row_that_says_what_is_in_it_or_why_not(reproduced, photos):
    done = reproduced.run(*PREDICT, str(photos), "nowhere.png", str(photos / "none"), "--csv", ok=False)
    assert done.returncode == 1
    assert "error: 6 of 10 photos could not be read" in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(Path(row["photo"]).name, row["face"]) for row in rows] == [
        *(("1-one.png", "1"), ("2-two.png", "1"), ("2-two.png", "2"), ("3-sideways.png", "1"), ("4-empty.png", "")),
        *(("5-whole.jpg", ""), ("6-text.png", ""), ("7-bomb.png", ""), ("8-deep.png", "")),
        *(("nowhere.png", ""), ("none", "")),
    ]
    assert list(rows[0]) == [
        *("photo", "face", "left", "top", "right", "bottom", "roll", "label", "probability"),
        *("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise", "error"),
    ]
    messages = {Path(row["photo"]).name: row["error"] for row in rows}
    for name, message in {
        "4-empty.png": "no face found",
        "5-whole.jpg": "cannot be decoded: image file is truncated",
        "6-text.png": "cannot be decoded: not an image",
        "7-bomb.png": "cannot be decoded: 20000 x 4000 pixels, limits.image_pixels allows 50000000",
        "8-deep.png": "more than 8 bits per channel",
        "nowhere.png": "No such file",
        "none": "a folder without images",
    }.items():
        assert message in messages[name]
    one, left, right, sideways = rows[:4]
    values = [float(one[label]) for label in list(rows[0])[9:16]]
    assert sum(values) == pytest.approx(1, abs=1e-3)
    assert float(one["probability"]) == max(values) == float(one[one["label"]])
    assert {**one, "photo": ""} == {**sideways, "photo": ""}  # upright, and the same pixels
    assert int(left["right"]) < int(right["left"])


def test_the_json_has_the_documented_fields_and_the_figure_is_drawn(reproduced, photos, tmp_path):
    names = "\n".join(str(photos / name) for name in ("2-two.png", "4-empty.png"))
    listed = tmp_path / "list"
    listed.write_text(names + "\n")
    figure = tmp_path / "figure.png"
    script = f"python -m src.predict - --json --figure {figure} < {listed}"
    rows = json.loads(reproduced.run("bash", "-c", script).stdout)
    assert [list(row) for row in rows] == 3 * [
        ["photo", "face", "box", "roll", "label", "probability", "probabilities", "error"]
    ]
    assert [row["error"] for row in rows] == [None, None, "no face found"]
    assert rows[2] == {**dict.fromkeys(rows[2]), "photo": str(photos / "4-empty.png"), "error": "no face found"}
    assert Image.open(figure).size[1] > 400  # two rows of a photo, a face and its probabilities


def some_test_faces(clone: Clone, folder: Path) -> list[Path]:
    folder.mkdir()
    with zipfile.ZipFile(clone.path / "data/raw.zip") as archive:
        members = sorted(name for name in archive.namelist() if name.startswith("test/"))[::5]
        for number, member in enumerate(members):
            (folder / f"{number:03}{Path(member).suffix}").write_bytes(archive.read(member))
    return members


def test_cropped_faces_get_what_evaluate_gives_them_calibrated(reproduced, tmp_path):
    members = some_test_faces(reproduced, tmp_path / "faces")
    done = reproduced.run(*PREDICT, "--cropped", "--csv", str(tmp_path / "faces" / "*.*"))
    table = pd.read_csv(io.StringIO(done.stdout))
    known = pd.read_csv(reproduced.path / "data/predictions.csv").set_index("member").loc[members]
    labels = list(table.columns[9:16])
    temperature = json.loads((reproduced.path / "models/calibration.json").read_text())["temperature"]
    assert temperature != 1
    np.testing.assert_allclose(table[labels], calibration.tempered(known[labels].to_numpy(), temperature), atol=1e-4)
    assert table["label"].tolist() == known["predicted"].tolist()


def test_any_earlier_model_can_be_used_and_one_of_straightened_faces_straightens(reproduced, tmp_path):
    """By DVC experiment, by git revision, and by MLflow run."""
    members = some_test_faces(reproduced, tmp_path / "faces")
    shutil.copytree(reproduced.path, tmp_path / "copy")  # another experiment is not what other tests expect in there
    clone = Clone(tmp_path / "copy")
    changes = ("preprocess.align=eyes", "evaluate.rotations=[-30,0]", "epochs=1")
    clone.run("dvc", "exp", "run", "--temp", "-n", "straight", *(word for change in changes for word in ("-S", change)))

    faces = json.loads(clone.show("straight", "metrics/preprocess.json"))["faces"]
    assert faces["found"] == sum(faces["roll"].values())
    assert 0.3 < faces["share"] < 1
    evaluated = json.loads(clone.show("straight", "metrics/eval.json"))
    assert list(evaluated["rotations"]) == ["-30", "0"]
    assert evaluated["rotations"]["0"] == pytest.approx(evaluated["accuracy"], abs=0.02)

    def predicted(*options: str) -> str:
        return clone.run(*PREDICT, "--cropped", "--csv", *options, str(tmp_path / "faces" / "*.*")).stdout

    assert predicted("--run", "HEAD") == predicted("--run", "rendered-ai-conv3-2-seed1")
    table = pd.read_csv(io.StringIO(predicted("--run", "straight")))
    stored = tmp_path / "predictions.csv"
    commit = resolve(clone.path, "straight")
    clone.run("dvc", "get", ".", "data/predictions.csv", "--rev", commit, "-o", str(stored))
    known = pd.read_csv(stored).set_index("member").loc[members]
    assert (table["label"].to_numpy() == known["predicted"].to_numpy()).mean() > 0.95

    failed = clone.run(*PREDICT, "--run", "nobody", "a.png", ok=False)
    assert failed.returncode == 1
    assert "nobody is neither a DVC experiment or git revision nor an MLflow run" in failed.stderr
    assert "Traceback" not in failed.stderr
