"""Known facts of real faces, where they lie beside the repository; they are never part of it."""

from collections import Counter

import pandas as pd
import pytest

from src import params
from src.core import raw
from src.core.raw import Image
from src.download import local, selection
from src.split import policies
from tests.conftest import HERE, found

PARAMS = params.load(HERE / "params.yaml")
DATASETS = PARAMS.datasets


def images(name: str, dataset: str) -> list[Image]:
    return local.images(str(found(name)), None, DATASETS[dataset].labels, PARAMS.layout, PARAMS.limits)


@pytest.fixture(scope="module")
def fer2013() -> list[Image]:
    return images("fer2013.zip", "ai")


@pytest.fixture(scope="module")
def contents(fer2013, tmp_path_factory) -> pd.DataFrame:
    """The manifest of FER-2013's canonical archive, with the folder of each image."""
    path = tmp_path_factory.mktemp("fer2013") / "ai.zip"
    raw.write(path, fer2013)
    table = policies.build(path, PARAMS.split.model_copy(update={"policy": "report"}))
    path.unlink()
    return table.assign(folder=table["member"].str.split("/").str[0])


def test_fer2013_is_complete(fer2013):
    assert Counter(image.folder for image in fer2013) == {"train": 28709, "test": 7178}
    assert Counter(image.label for image in fer2013) == DATASETS["ai"].labels


def test_the_reports_second_set_is_a_selection_from_fer2013(fer2013):
    half = DATASETS["ai_half"]
    selected = selection.select(fer2013, half.images / DATASETS["ai"].images)
    assert len(selected) == half.images == 18100
    of_label = Counter(image.label for image in selected)
    for label, count in half.labels.items():
        assert abs(of_label[label] - count) <= 2


def test_the_manifest_shows_fer2013s_known_duplicates(contents):
    equal = contents.groupby("sha256")
    assert len(contents) - len(equal) == 1853, "byte-identical extra copies"
    assert (equal["folder"].nunique() == 2).sum() == 531, "contents in both train and test"
    assert (equal["label"].nunique() > 1).sum() == 57, "contents with two labels; one of them has three"
    assert (equal["group"].nunique() == 1).all(), "equal images share a group"


def test_faces200_has_the_six_labels_of_the_third_set():
    listed = images("faces200.zip", "ai2")
    assert Counter(image.folder for image in listed) == {"train": 3840, "test": 960}
    assert {image.label for image in listed} == {"Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise"}
