"""The policy `clean` on an archive with one of each kind of leak."""

import zipfile

import pytest

from src import params
from src.core import manifest
from src.split import policies
from src.split.audit import audit

FILES = {
    "train/happy/kept.jpg": b"a",
    "train/happy/also_tested.jpg": b"t",
    "train/happy/also_validated.jpg": b"v",
    "train/sad/copy_1.jpg": b"c",
    "train/sad/copy_2.jpg": b"c",
    "train/happy/one_label.jpg": b"x",
    "train/sad/another_label.jpg": b"x",
    "test/happy/PrivateTest_1.jpg": b"t",
    "test/sad/PrivateTest_2.jpg": b"u",
    "test/sad/PublicTest_1.jpg": b"u",
    "test/happy/PublicTest_2.jpg": b"v",
    "test/sad/PublicTest_3.jpg": b"w",
}


@pytest.fixture
def build(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    split = params.load().split
    return lambda policy: policies.build(tmp_path / "a.zip", split.model_copy(update={"policy": policy}))


def test_only_what_leaks_contradicts_or_repeats_leaves_and_the_test_part_stays_whole(build):
    table = build("clean").set_index("member")["split"]
    assert table[table == "test"].index.tolist() == ["test/happy/PrivateTest_1.jpg", "test/sad/PrivateTest_2.jpg"]
    assert table[table == "validation"].index.tolist() == ["test/happy/PublicTest_2.jpg", "test/sad/PublicTest_3.jpg"]
    assert table[table == "train"].index.tolist() == ["train/happy/kept.jpg", "train/sad/copy_1.jpg"]


def test_the_audit_counts_leaks_under_report_and_none_under_clean(build):
    found = audit(build("report"))
    assert found["duplicates"]["extra_copies"] == 5
    assert found["duplicates"]["contents_with_several_labels"] == 1
    assert found["leaks"]["train-validation"]["exact"] == 2
    assert all(leak["exact"] == leak["near"] == 0 for leak in audit(build("clean"))["leaks"].values())
    assert manifest.straddling(build("report")) != []
