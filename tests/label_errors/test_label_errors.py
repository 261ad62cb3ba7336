"""Labels that a network which has not seen the image finds wrong: folds, ranking, and what people say to it."""

import subprocess
import time
from subprocess import DEVNULL

import numpy as np
import pandas as pd
import pytest

from src import params
from src.core import raw
from src.core.raw import Image
from src.errors import UserError
from src.label_errors import folds, ranking
from tests.conftest import HERE, environment, fresh

LABELS = ["happy", "sad", "fear"]
PARAMS = params.load(HERE / "params.yaml")


@pytest.fixture
def archive(tmp_path):
    """Twelve images of each label in train, of which one has two copies; three in test."""
    members = [f"{folder}/{label}/{number}.png" for folder, count in (("train", 12), ("test", 3))
               for label in LABELS for number in range(count)]  # fmt: skip
    contents = {member: member.encode() for member in members}
    for copy in ("train/happy/copy.png", "train/sad/copy.png"):
        contents[copy] = contents["train/happy/0.png"]
    path = tmp_path / "raw.zip"
    raw.write(path, [Image(*member.split("/", 2), lambda data=data: data) for member, data in contents.items()])
    return path


def test_each_training_image_is_held_out_once_and_copies_together(archive):
    table = folds.divided(archive, 4, PARAMS).set_index("member")
    assert len(table) == 38
    assert not table.index.str.startswith("test/").any()
    assert sorted(set(table["fold"])) == [0, 1, 2, 3]
    copies = ["train/happy/0.png", "train/happy/copy.png", "train/sad/copy.png"]
    assert table.loc[copies, "fold"].nunique() == 1
    assert (table.groupby(["fold", "label"]).size() >= 2).all()


def test_more_folds_than_images_of_a_label_are_refused(archive):
    with pytest.raises(UserError, match=r"--folds 13: (fear|sad) has only 12 images that differ"):
        folds.divided(archive, 13, PARAMS)


@pytest.fixture
def told():
    """300 images, the first 30 filed under another label than a rather sure network sees."""
    rng = np.random.default_rng(1)
    seen = rng.integers(0, 3, 300)
    probabilities = 0.2 * rng.dirichlet(np.ones(3), 300) + 0.8 * np.eye(3)[seen]
    given = np.where(np.arange(300) < 30, (seen + 1) % 3, seen)
    members = [f"train/{LABELS[label]}/{number:03d}.png" for number, label in enumerate(given)]
    table = pd.DataFrame({"member": members, "sha256": members, "label": np.array(LABELS)[given]})
    said = pd.DataFrame(probabilities.astype(np.float32), columns=LABELS).assign(member=members)
    votes = pd.DataFrame(8 * np.eye(3, dtype=int)[seen], columns=LABELS).assign(member=members, voters=10)
    return table, said, votes


def test_what_is_filed_wrong_comes_first_and_is_counted(told):
    table, said, votes = told
    found = ranking.ranked(table, said, LABELS)
    assert len(found) == 300
    first = found[:30]
    assert {int(member[-7:-4]) for member in first["member"]} == set(range(30))
    assert (first["suggested"] != first["label"]).all()
    assert first["issue"].all()
    assert not found["issue"][30:].any()
    assert ranking.agreement(found, votes) == {
        "images": 300,
        "wrong": 0.1,
        "confidence": {"first_100": 0.3, "auc": 1.0},
        "margin": {"first_100": 0.3, "auc": 1.0},
        "issues": {"images": 30, "wrong": 1.0},
    }


def test_images_on_which_people_do_not_agree_are_not_judged(told):
    table, said, votes = told
    found = ranking.ranked(table, said, LABELS)
    votes.loc[:14, LABELS] = 3
    judged = ranking.agreement(found, votes[votes.index < 299])
    assert judged["images"] == 284
    assert judged["issues"] == {"images": 15, "wrong": 1.0}
    assert ranking.agreement(found, votes[:0]) == {}


@pytest.mark.slow
def test_label_errors_are_found_to_the_same_bytes_also_after_a_kill_and_can_be_left_out(reproduced, tmp_path):
    clone = fresh(reproduced, tmp_path / "clone")
    command = ("python", "-m", "src.label_errors", "--folds", "2", "--epochs", "2")
    missing = clone.run(*command, ok=False)
    assert missing.stderr == "error: data/raw.zip is not there: dvc repro download\n"
    clone.run("dvc", "repro", "split")
    found = []
    for killed in (False, True):
        if killed:
            process = subprocess.Popen(command, cwd=clone.path, env=environment(), stdout=DEVNULL, stderr=DEVNULL)
            while len([*(clone.path / ".checkpoints").glob("*/000001")]) < 2:  # the second fold has begun
                assert process.poll() is None
                time.sleep(0.1)
            process.kill()
            process.wait()
        clone.run(*command)
        names = ("issues.csv", "ranking.csv", "metrics.json", "plots/first.png")
        found.append([(clone.path / "label_errors" / name).read_bytes() for name in names])
        assert not [path for path in (clone.path / ".checkpoints").iterdir() if path.is_dir()]
    assert found[0] == found[1]

    listed = pd.read_csv(clone.path / "label_errors/issues.csv")
    assert 0 < len(listed) < 400
    clone.set_params({"split.leave_out": "issues"})
    clone.run("dvc", "repro", "split")
    manifest = pd.read_csv(clone.path / "data/manifest.csv").set_index("member")
    assert set(manifest.loc[listed["member"], "split"]) == {"left_out"}
    assert (manifest["split"] == "left_out").sum() == len(listed)


def test_too_few_folds_are_refused(small):
    refused = small.run("python", "-m", "src.label_errors", "--folds", "1", ok=False)
    assert refused.returncode == 2
    assert refused.stderr.endswith("error: it takes at least 2 folds and 1 epoch\n")


def test_straightened_faces_are_refused_before_the_work(small, tmp_path):
    clone = fresh(small, tmp_path / "clone", **{"preprocess.align": "eyes"})
    (clone.path / "data/raw.zip").touch()
    (clone.path / "data/votes.csv").touch()
    refused = clone.run("python", "-m", "src.label_errors", ok=False)
    assert refused.stderr.startswith("error: preprocess.align: ")
