"""The masks of drawn faces, and the finder that learned from them."""

import json
import math
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from src.drawn.person import Pose, angle
from src.drawn.photo import take, take_with_parts
from src.errors import UserError
from src.segmentation import CELLS, PARTS, SEGMENTATION, SIZE, examples
from tests.conftest import HERE, Clone, clone_of

ROLLS = (-60, -35, -12, 0, 12, 35, 60)


def posed(roll: float, scale: float = 0.5) -> Pose:
    return Pose(scale, (0.5, 0.5), angle(0), angle(0), angle(math.radians(roll)))


def drawn(seed: int, roll: float, scale: float = 0.5) -> np.ndarray:
    return take("neutral", SIZE, np.random.default_rng(seed), posed(roll, scale))


def test_parts_belong_to_the_very_picture_that_is_drawn_without_them():
    picture, parts = take_with_parts("happy", SIZE, np.random.default_rng(3), posed(20), PARTS)
    assert (picture == take("happy", SIZE, np.random.default_rng(3), posed(20))).all()
    middles = {
        name: np.argwhere(parts == PARTS.index(name)).mean(axis=0) for name in ("left eye", "right eye", "mouth")
    }
    (left_y, left_x), (right_y, right_x), (mouth_y, _) = middles.values()
    assert left_x < right_x and max(left_y, right_y) < mouth_y
    assert math.degrees(math.atan2(right_y - left_y, right_x - left_x)) == pytest.approx(20, abs=6)


def test_the_first_examples_are_the_same_however_many_are_drawn():
    pictures, parts = examples.examples(3, 5)
    more, more_parts = examples.examples(5, 5)
    assert (pictures == more[:3]).all() and (parts == more_parts[:3]).all()
    assert parts.shape == (3, CELLS, CELLS) and parts.max() < len(PARTS)
    assert not (pictures == examples.examples(3, 6)[0]).all(axis=(1, 2)).any()


@pytest.fixture(scope="module")
def segmenter():
    from src.faces.segmented import Segmenter

    return Segmenter(HERE / SEGMENTATION)


@pytest.mark.parametrize("roll", ROLLS)
def test_a_drawn_face_is_found_with_its_roll(segmenter, roll):
    found = segmenter.find([drawn(seed, roll) for seed in range(40)])
    assert np.mean([bool(faces) for faces in found]) > 0.9
    assert np.median([abs(faces[0].roll - roll) for faces in found if faces]) < 5


def test_the_same_face_in_a_larger_picture_is_as_much_larger_and_elsewhere_if_it_is_moved(segmenter):
    picture = drawn(1, 10)
    ((face,),) = segmenter.find([picture])
    large = cv2.resize(picture, (4 * SIZE, 4 * SIZE), interpolation=cv2.INTER_NEAREST)
    ((larger,),) = segmenter.find([large])
    for small, big in zip((*face.left_eye, *face.right_eye), (*larger.left_eye, *larger.right_eye), strict=True):
        assert big == pytest.approx(4 * (small + 0.5) - 0.5, abs=0.01)
    assert larger.roll == pytest.approx(face.roll, abs=0.01)
    wide = cv2.copyMakeBorder(picture, 0, 0, 0, 12, cv2.BORDER_REPLICATE)  # not square
    ((beside,),) = segmenter.find([wide])
    assert beside.left_eye == pytest.approx(face.left_eye, abs=3)
    assert beside.right_eye == pytest.approx(face.right_eye, abs=3)


def test_faces_are_found_in_the_order_of_the_images_and_nothing_where_there_is_none(segmenter):
    blank, noise = np.full((SIZE, SIZE), 90, np.uint8), np.random.default_rng(0).integers(0, 256, (60, 40), np.uint8)
    found = segmenter.find([blank, drawn(1, 0), noise, drawn(2, 30)])
    assert [len(faces) for faces in found] == [0, 1, 0, 1]
    assert abs(found[1][0].roll) < 8 and abs(found[3][0].roll - 30) < 8
    assert segmenter.find([]) == []


def test_weights_that_are_none_are_refused_with_what_to_do(tmp_path):
    from src.faces.segmented import Segmenter

    for content, message in {b"": "holds no weights", None: "does not exist; make it: dvc repro segmentation"}.items():
        path = tmp_path / "segmentation.npy"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            Segmenter(path)


def test_preprocess_straightens_by_it_and_the_model_remembers(reproduced: Clone, tmp_path):
    clone = clone_of(reproduced.path, tmp_path / "clone")
    (clone.path / "data").mkdir(exist_ok=True)
    for path in ("data/manifest.csv", "data/raw.zip"):
        shutil.copy(reproduced.path / path, clone.path / path)
    shutil.copy(HERE / SEGMENTATION, clone.path / SEGMENTATION)
    clone.set_params({"preprocess.align": "segmentation"})
    clone.run("python", "-m", "src.preprocess")
    faces = json.loads((clone.path / "metrics/preprocess.json").read_text())["faces"]
    index = pd.read_csv(clone.path / "data/arrays/index.csv")
    assert faces["found"] == sum(faces["roll"].values()) > 0.9 * len(index)


def test_an_experiment_with_it_is_scored_turned_and_predicts_wherever_the_model_goes(reproduced: Clone, tmp_path):
    clone = clone_of(reproduced.path, tmp_path / "clone")
    clone.run("dvc", "cache", "dir", "--local", str(reproduced.path / ".dvc/cache"))
    changes = ("preprocess.align=segmentation", "evaluate.rotations=[-30,30]")
    clone.run("dvc", "exp", "run", "-n", "straight", *(f"--set-param={change}" for change in changes))
    rotated = json.loads((clone.path / "metrics/eval.json").read_text())["rotations"]
    assert set(rotated) == {"-30", "30"}
    picture = tmp_path / "face.png"
    cv2.imwrite(str(picture), drawn(1, 20))
    predict = ("python", "-m", "src.predict", "--json", "--cropped", str(picture))
    here = clone.run(*predict).stdout
    assert json.loads(here)[0]["label"]
    run = clone.run("python", "-c", FIND_RUN).stdout.split()
    (clone.path / SEGMENTATION).unlink()
    assert clone.run(*predict, ok=False).stderr.startswith("error: ")
    assert clone.run(*predict, "--run", "straight").stdout == here
    assert clone.run(*predict, "--run", run[0]).stdout == here
    served = clone.run("python", "-c", SERVE, run[1], str(picture)).stdout
    assert json.loads(served)[0]["probabilities"] == json.loads(here)[0]["probabilities"]


FIND_RUN = """
from mlflow import MlflowClient
client = MlflowClient("sqlite:///mlflow.db")
(experiment,) = [one for one in client.search_experiments() if one.name != "Default"]
(run,) = client.search_runs([experiment.experiment_id], "params.`preprocess.align` = 'segmentation'")
(model,) = client.search_logged_models([experiment.experiment_id], f"source_run_id = '{run.info.run_id}'")
print(run.info.run_id, model.model_id)
"""
SERVE = """
import json, os, sys
from pathlib import Path
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[1]}")
print(json.dumps(model.predict([Path(sys.argv[2])], params={"cropped": True})))
"""
