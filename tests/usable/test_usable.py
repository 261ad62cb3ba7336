"""What the network that expels learned from, and what it does with pictures."""

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from src.errors import UserError
from src.usable import SIZE, USABLE, examples
from tests.conftest import HERE, Clone, clone_of

PREDICT = ("python", "-m", "src.predict", "--csv", "--expel", "--cropped")


def test_the_first_pictures_are_the_same_however_many_are_drawn_and_others_with_another_seed():
    few, kinds = examples.examples(14, 5)
    more, _ = examples.examples(21, 5)
    assert few.shape == (28, SIZE, SIZE) and few.dtype == np.uint8
    assert (few == more[:28]).all()
    assert not (few == examples.examples(14, 6)[0]).all(axis=(1, 2)).any()
    assert kinds[::2].tolist() == [0] * 14
    assert sorted(kinds[1::2].tolist()) == sorted([*range(1, 8)] * 2)


@pytest.fixture(scope="module")
def network():
    from src.usable import network

    return network


def test_the_committed_network_keeps_drawn_faces_and_expels_each_kind_of_what_is_none(network):
    pictures, kinds = examples.examples(140, 99)
    scores = network.scores(network.load(HERE / USABLE), list(pictures))
    kept = scores >= network.THRESHOLD
    assert kept[kinds == 0].mean() > 0.9
    for kind, name in enumerate(examples.UNUSABLE, 1):
        assert kept[kinds == kind].mean() < 0.3, name


def test_a_picture_has_one_score_alone_among_others_and_at_other_sizes(network):
    pictures, _ = examples.examples(3, 99)
    model = network.load(HERE / USABLE)
    together = network.scores(model, list(pictures))
    assert [network.scores(model, [picture])[0] for picture in pictures] == pytest.approx(together, abs=1e-6)
    large = [cv2.resize(picture, (3 * SIZE, 3 * SIZE), interpolation=cv2.INTER_NEAREST) for picture in pictures]
    assert network.scores(model, large) == pytest.approx(together, abs=1e-6)
    assert network.scores(model, []).shape == (0,)


BROKEN = {
    "missing": (None, "does not exist; make it: dvc repro usable"),
    "empty": (b"", "holds no weights"),
    "no array": (b"weights", "holds no weights"),
    "an object": (np.array([{"a": 1}], object), "holds no weights"),
    "too few": (np.zeros(100, np.float32), "does not hold"),
    "of another type": (np.zeros(83_442), "does not hold"),
    "a number": (np.float32(1), "does not hold"),
}


@pytest.mark.parametrize("content, message", BROKEN.values(), ids=BROKEN.keys())
def test_weights_that_are_none_are_refused_with_what_to_do(network, tmp_path, content, message):
    path = tmp_path / "usable.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(UserError, match=message) as caught:
        network.load(path)
    assert str(caught.value).startswith(str(path))


def test_damaged_weights_are_refused(network, tmp_path):
    path = tmp_path / "usable.npy"
    values = np.load(HERE / USABLE)
    values[7] = np.nan
    np.save(path, values)
    with pytest.raises(UserError, match="weights that are no numbers"):
        network.load(path)
    path.write_bytes((HERE / USABLE).read_bytes()[:5000])
    with pytest.raises(UserError, match="holds no weights"):
        network.load(path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Faces, and what is none: drawn, and of photographs that anyone may use."""
    folder = tmp_path_factory.mktemp("pictures")
    sheet = Image.open(HERE / "docs/images/faces_416.png").convert("L")
    drawn = sheet.crop((1040, 280, 1180, 420))
    # An officer of the U.S. Navy, in the public domain; comes with Matplotlib.
    officer = Image.open(Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg").convert("L")
    face = officer.crop((130, 60, 380, 310))
    for name, image in {"drawn": drawn, "officer": face}.items():
        image.save(folder / f"face-{name}.png")
        image.rotate(180).save(folder / f"turned-{name}.png")
    for name, image in zip(("temple", "flower"), load_sample_images().images, strict=True):
        Image.fromarray(image).save(folder / f"none-{name}.png")
    Image.new("L", (60, 60), 90).save(folder / "none-blank.png")
    return folder


@pytest.fixture(scope="module")
def clone(reproduced: Clone, tmp_path_factory) -> Clone:
    """With a small trained model, and the committed network that expels."""
    clone = clone_of(reproduced.path, tmp_path_factory.mktemp("expelling") / "clone")
    for name in ("model.h5", "calibration.json"):
        shutil.copy(reproduced.path / "models" / name, clone.path / "models" / name)
    shutil.copy(HERE / USABLE, clone.path / USABLE)
    return clone


def test_predict_says_which_of_a_folder_cannot_be_used_and_no_emotion_of_these(clone: Clone, pictures: Path):
    done = clone.run(*PREDICT, str(pictures))
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {Path(row["photo"]).stem: row["error"].split(" (")[0] for row in rows} == {
        path.stem: "" if path.stem.startswith("face") else "unusable" for path in pictures.iterdir()
    }
    for row in rows:
        assert bool(row["label"]) == (row["error"] == "")
        if row["error"]:
            assert 0 <= float(row["error"].removeprefix("unusable (").removesuffix(")")) < 0.5


def test_training_leaves_out_what_cannot_be_used_and_counts_it_and_what_is_scored_stays(
    clone: Clone, reproduced: Clone
):
    for path in ("data/manifest.csv", "data/raw.zip"):
        shutil.copy(reproduced.path / path, clone.path / path)
    members = pd.read_csv(clone.path / "data/manifest.csv")["member"]
    blank = Image.new("L", (SIZE, SIZE), 90)
    file = io.BytesIO()
    blank.save(file, "JPEG")
    replaced = {members[members.str.startswith("train/")].iloc[0], members[members.str.startswith("test/")].iloc[0]}
    with (
        zipfile.ZipFile(reproduced.path / "data/raw.zip") as old,
        zipfile.ZipFile(clone.path / "data/raw.zip", "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, file.getvalue() if name in replaced else old.read(name))
    clone.set_params({"preprocess.usable": "network"})
    clone.run("python", "-m", "src.preprocess")
    metrics = json.loads((clone.path / "metrics/preprocess.json").read_text())
    index = pd.read_csv(clone.path / "data/arrays/index.csv")
    expelled = set(members) - set(index["member"])
    assert {name for name in replaced if name.startswith("train/")} <= expelled
    assert all(name.startswith("train/") for name in expelled)
    assert metrics["unusable"] == {"judged": int(members.str.startswith("train/").sum()), "expelled": len(expelled)}
    assert metrics["images"] == len(index)
    assert len(expelled) < 0.5 * metrics["unusable"]["judged"]
    assert len(np.load(clone.path / "data/arrays/train_images.npy")) == (index["split"] == "train").sum()


def test_expelling_needs_its_weights(clone: Clone, pictures: Path):
    (clone.path / USABLE).unlink()
    done = clone.run(*PREDICT, str(pictures), ok=False)
    assert done.returncode == 1
    assert "models/usable.npy does not exist; make it: dvc repro usable" in done.stderr
    assert done.stdout == ""
