"""Training images get the label that people see; what is scored keeps its own."""

import pandas as pd
import pytest

from src.core.manifest import LEFT_OUT
from src.errors import UserError
from src.split.votes import relabelled
from tests.conftest import fresh

# member: split, label of its folder, votes of ten for happy and for sad
IMAGES = {
    "train/happy/agreed": ("train", "happy", 9, 1),
    "train/happy/other": ("train", "happy", 2, 7),
    "train/happy/half": ("train", "happy", 5, 5),
    "train/happy/neither": ("train", "happy", 3, 2),
    "train/sad/unknown": ("train", "sad", None, None),
    "train/sad/out": (LEFT_OUT, "sad", 10, 0),
    "test/sad/scored": ("validation", "sad", 10, 0),
    "test/sad/tested": ("test", "sad", 10, 0),
}


@pytest.fixture
def table():
    rows = [(member, "", label, split, number) for number, (member, (split, label, _, _)) in enumerate(IMAGES.items())]
    return pd.DataFrame(rows, columns=["member", "sha256", "label", "split", "group"])


@pytest.fixture
def votes():
    rows = [(member, 10, *counts) for member, (_, _, *counts) in IMAGES.items() if None not in counts]
    return pd.DataFrame(rows, columns=["member", "voters", "happy", "sad"])


def test_the_majority_labels_and_without_one_an_image_is_left_out(table, votes):
    found = relabelled(table, votes, "majority").set_index("member")
    trained = found.loc[found["split"] == "train", "label"]
    assert trained.to_dict() == {"train/happy/agreed": "happy", "train/happy/other": "sad"}
    assert list(found.columns) == ["sha256", "label", "split", "group"]


def test_soft_votes_stand_in_columns_of_their_own(table, votes):
    found = relabelled(table, votes, "soft").set_index("member")
    trained = found[found["split"] == "train"]
    assert trained[["votes_happy", "votes_sad"]].to_numpy().tolist() == [[9, 1], [2, 7], [5, 5]]
    assert trained["label"].tolist() == ["happy", "sad", "happy"]


@pytest.mark.parametrize("how", ["majority", "soft"])
def test_what_is_scored_or_was_left_out_keeps_split_and_label(table, votes, how):
    found, before = (one.set_index("member") for one in (relabelled(table, votes, how), table))
    for member in ("train/sad/out", "test/sad/scored", "test/sad/tested"):
        assert found.loc[member, ["label", "split"]].equals(before.loc[member, ["label", "split"]])


def test_images_on_which_nobody_voted_are_refused(table, votes):
    with pytest.raises(UserError, match=r"split\.votes = soft: nobody has voted"):
        relabelled(table, votes[:0], "soft")


def test_a_label_that_nobody_sees_is_named(table, votes):
    with pytest.raises(UserError, match=r"split\.votes = majority leaves sad without a training image"):
        relabelled(table, votes.assign(sad=0), "majority")


def test_on_drawn_faces_training_goes_by_what_was_drawn(small, tmp_path):
    clone = fresh(small, tmp_path / "clone", **{"split.votes": "majority"})
    clone.run("dvc", "repro", "split")
    table = pd.read_csv(clone.path / "data/manifest.csv")
    shown = table["member"].str.extract(r"_(\w+)\.jpg$")[0]
    filed = table["member"].str.split("/").str[1]
    trained = table["split"] == "train"
    assert (table["label"] == shown)[trained].all()
    assert (table["label"] == filed)[~trained].all()
    assert (shown != filed)[trained].any()


def test_listed_contents_are_left_out_of_training_alone_and_the_list_is_a_dependency(small, tmp_path):
    clone = fresh(small, tmp_path / "clone")
    clone.run("dvc", "repro", "split")
    before = pd.read_csv(clone.path / "data/manifest.csv").set_index("member")
    listed = [*before.index[before["split"] == "train"][:3], before.index[before["split"] == "validation"][0]]
    before.loc[listed, ["sha256"]].to_csv(clone.path / "label_errors/issues.csv", index=False)
    assert "label_errors/issues.csv" in clone.run("dvc", "status", "split").stdout
    clone.run("dvc", "repro", "split")
    assert pd.read_csv(clone.path / "data/manifest.csv").set_index("member").equals(before)
    clone.set_params({"split.leave_out": "issues"})
    clone.run("dvc", "repro", "split")
    after = pd.read_csv(clone.path / "data/manifest.csv").set_index("member")
    assert after.index[after["split"] != before["split"]].tolist() == listed[:3]
    assert set(after.loc[listed[:3], "split"]) == {LEFT_OUT}
    (clone.path / "label_errors/issues.csv").write_text("member\n")
    failed = clone.run("dvc", "repro", "split", ok=False)
    assert "error: split.leave_out: label_errors/issues.csv is no csv with a column sha256" in failed.stderr
