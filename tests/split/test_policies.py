"""Which image trains, validates and tests."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from src import params
from src.core import manifest, raw
from src.core.files import write_csv
from src.core.raw import Image
from src.errors import UserError
from src.params import Split
from src.split import policies

DEFAULTS = params.load(Path(__file__).parents[2] / "params.yaml").split


def split(policy: str = "report", share: float = 0.1, seed: int = 1) -> Split:
    return DEFAULTS.model_copy(update={"policy": policy, "validation_share": share, "seed": seed})


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    raw.write(path, [Image(*member.split("/", 2), lambda data=data: data) for member, data in files.items()])
    return path


def faces(train: dict[str, int], test: dict[str, int]) -> dict[str, bytes]:
    """Files of distinct content, so many of each label."""
    members = [
        f"{folder}/{label}/{number}.jpg"
        for folder, labels in (("train", train), ("test", test))
        for label, count in labels.items()
        for number in range(count)
    ]
    return {member: member.encode() for member in members}


@pytest.fixture
def uneven(tmp_path) -> Path:
    return zip_of(tmp_path / "a.zip", faces({"happy": 60, "sad": 40}, {"happy": 5, "sad": 7}))


@pytest.mark.parametrize("policy", ["report", "holdout"])
def test_there_is_one_row_per_image_sorted_by_member(uneven, policy):
    members = list(policies.build(uneven, split(policy))["member"])
    assert members == sorted(faces({"happy": 60, "sad": 40}, {"happy": 5, "sad": 7}))


def test_label_and_hash_are_those_of_the_file(uneven):
    for row in policies.build(uneven, split()).itertuples():
        assert row.label == row.member.split("/")[1]
        assert row.sha256 == hashlib.sha256(row.member.encode()).hexdigest()


def test_under_report_the_test_folder_validates(uneven):
    table = policies.build(uneven, split("report"))
    folder = table["member"].str.split("/").str[0]
    assert set(zip(folder, table["split"], strict=True)) == {("train", "train"), ("test", "validation")}


def test_under_holdout_the_test_folder_is_kept_back(uneven):
    table = policies.build(uneven, split("holdout"))
    assert list(table["split"] == "test") == list(table["member"].str.startswith("test/"))


@pytest.mark.parametrize(("share", "happy", "sad"), [(0.1, 6, 4), (0.25, 15, 10), (0.5, 30, 20)])
def test_under_holdout_validation_is_the_same_share_of_every_label(uneven, share, happy, sad):
    table = policies.build(uneven, split("holdout", share))
    counts = table.groupby(["split", "label"]).size()
    assert dict(counts["validation"]) == {"happy": happy, "sad": sad}
    assert dict(counts["train"]) == {"happy": 60 - happy, "sad": 40 - sad}


def validation(path: Path, seed: int) -> set[str]:
    table = policies.build(path, split("holdout", seed=seed))
    return set(table["member"][table["split"] == "validation"])


def test_a_seed_gives_one_holdout_and_another_seed_another(uneven):
    assert validation(uneven, 1) == validation(uneven, 1)
    assert validation(uneven, 1) != validation(uneven, 2)


def test_the_seed_does_not_matter_under_report(uneven):
    pd.testing.assert_frame_equal(
        policies.build(uneven, split("report", 0.1, 1)), policies.build(uneven, split("report", 0.5, 2))
    )


def test_images_of_the_same_bytes_share_a_group_numbered_by_first_appearance(tmp_path):
    files = {
        "test/happy/1.jpg": b"one",
        "test/sad/1.jpg": b"two",
        "train/happy/1.jpg": b"one",
        "train/happy/2.jpg": b"three",
        "train/sad/1.jpg": b"two",
        "train/sad/2.jpg": b"one",
    }
    table = policies.build(zip_of(tmp_path / "a.zip", files), split())
    assert list(table["member"]) == list(files)
    assert list(table["group"]) == [0, 1, 0, 2, 1, 0]


@pytest.mark.parametrize("policy", ["report", "holdout"])
@pytest.mark.parametrize("labels", [["NA", "null", "True", "ärger, laut"], ["007", "7"], ["1e5", "nan"]])
def test_a_written_manifest_reads_back_equal_whatever_its_names(tmp_path, policy, labels):
    names = ["NaN", "1.0.jpg", 'a,"b".jpg', " space .jpg"]
    members = [f"{folder}/{label}/{name}" for folder in ("train", "test") for label in labels for name in names]
    files = {member: member.encode() for member in members}
    built = policies.build(zip_of(tmp_path / "a.zip", files), split(policy, share=0.4))
    write_csv(tmp_path / "a.csv", built)
    read = manifest.read(tmp_path / "a.csv")
    assert list(read["label"].unique()) == sorted(labels)
    pd.testing.assert_frame_equal(read, built, check_dtype=False)


@pytest.mark.parametrize(
    ("train", "share"),
    [
        pytest.param({"happy": 10, "sad": 10, "fear": 10}, 0.01, id="fewer images than labels"),
        pytest.param({"happy": 10, "sad": 10, "fear": 10}, 0.99, id="none left to train"),
        pytest.param({"happy": 10, "sad": 1}, 0.5, id="a label with one image"),
        pytest.param(
            {"happy": 200, "sad": 4},
            0.1,
            id="a label too rare for the share",
        ),
    ],
)
def test_a_validation_share_that_leaves_a_label_out_is_refused(tmp_path, train, share):
    path = zip_of(tmp_path / "a.zip", faces(train, dict.fromkeys(train, 2)))
    with pytest.raises(UserError, match=rf"split\.validation_share = {share} "):
        policies.build(path, split("holdout", share))
