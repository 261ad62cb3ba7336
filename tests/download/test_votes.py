"""Whom people saw in an image: by what was drawn, by FER+ and the content, by FER+ and the row."""

from pathlib import Path

import pandas as pd
import pytest

from src import params
from src.core import raw
from src.core.raw import Image
from src.download import local, rendered, votes
from src.errors import UserError
from tests.conftest import HERE, found

LABELS = ["sad", "happy"]
HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
ROWS = [
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
    "PublicTest,fer0000001.png,0,6,0,4,0,0,0,0,0,0",
    "PrivateTest,,0,0,0,0,0,0,0,0,0,10",
]
MEMBERS = ["train/happy/Training_0.png", "test/sad/PublicTest_1.png", "test/sad/PrivateTest_2.png"]


def archive(path: Path, members: list[str]) -> Path:
    raw.write(path, [Image(*member.split("/", 2), lambda member=member: member.encode()) for member in members])
    return path


@pytest.fixture
def of_table(tmp_path, monkeypatch):
    """What the rows of a table say of archive members."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))

    def table(lines: list[str], members: list[str] = MEMBERS, header: str = HEADER) -> pd.DataFrame:
        (tmp_path / "fer2013new.csv").write_text("\n".join([header, *lines, ""]))
        return votes.table(archive(tmp_path / "raw.zip", members), LABELS, False, "fer2013new.csv")

    return table


def test_of_drawn_faces_the_vote_is_for_what_was_drawn(tmp_path):
    members = ["train/happy/00000_happy.jpg", "train/happy/00001_sad.jpg", "test/sad/00002_sad.jpg"]
    table = votes.table(archive(tmp_path / "raw.zip", members), LABELS, True, None).set_index("member")
    assert table.loc[members].to_numpy().tolist() == [[1, 0, 1], [1, 1, 0], [1, 1, 0]]  # voters, sad, happy


def test_the_drawn_sets_wrong_labels_are_the_votes_that_differ(tmp_path):
    chosen = params.load(HERE / "params.yaml")
    labels = chosen.datasets["ai2"].labels  # spelt otherwise than what is drawn
    listed = rendered.images(chosen.datasets["ai2"], chosen.rendered.model_copy(update={"scale": 0.05}))
    raw.write(tmp_path / "raw.zip", [image._replace(read=lambda: b"") for image in listed])
    table = votes.table(tmp_path / "raw.zip", labels, True, None).set_index("member")
    seen = table[list(labels)].idxmax(axis=1)
    filed = pd.Series(table.index.str.split("/").str[1], table.index)
    assert (table[list(labels)].sum(axis=1) == 1).all()
    assert 0.05 < (seen != filed).mean() < 0.15  # label_noise is 0.1


def test_ferplus_is_joined_by_the_row_of_the_table(of_table):
    table = of_table(ROWS).set_index("member")
    assert table.loc[MEMBERS].to_numpy().tolist() == [[10, 1, 0], [10, 4, 6], [10, 0, 0]]  # voters, sad, happy


def test_images_of_which_nobody_knows_votes_have_no_row(tmp_path):
    assert votes.table(archive(tmp_path / "raw.zip", MEMBERS), LABELS, False, None).empty


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([ROWS[1], ROWS[0], ROWS[2]], "row 2 is PrivateTest|row [01] is "),
        (ROWS[:2], "row 2 is PrivateTest in fer2013.csv"),
        ([ROWS[0].replace(",4,", ",,"), *ROWS[1:]], "line 2: a count of votes is missing"),
        ([ROWS[0].replace(",4,", ",-4,"), *ROWS[1:]], "line 2: .* below 0"),
        ([ROWS[0].replace(",4,", ",four,"), *ROWS[1:]], "cannot be read"),
        ([ROWS[0].replace(",4,", ",4.5,"), *ROWS[1:]], "cannot be read"),
        ([], "does not fit"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(of_table, lines, message):
    with pytest.raises(UserError, match=message) as caught:
        of_table(lines)
    assert "votes_path: fer2013new.csv" in str(caught.value)


def test_another_table_is_refused(of_table):
    with pytest.raises(UserError, match="has no column Usage, neutral"):
        of_table(["0,1 2 3,Training"], header="emotion,pixels,use")


def test_images_that_are_not_of_the_table_are_refused(of_table):
    with pytest.raises(UserError, match=r"the first is train/happy/a\.png: set votes_path=null"):
        of_table(ROWS, members=[*MEMBERS, "train/happy/a.png"])


def test_a_table_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with pytest.raises(UserError, match=r"votes_path: none\.csv cannot be read"):
        votes.table(archive(tmp_path / "raw.zip", MEMBERS), LABELS, False, "none.csv")


def test_ferplus_knows_every_image_of_kaggles_archive(tmp_path):
    chosen = params.load(HERE / "params.yaml")
    labels = chosen.datasets["ai"].labels
    path = tmp_path / "raw.zip"
    raw.write(path, local.images(str(found("fer2013.zip")), None, labels, chosen.layout, chosen.limits))
    table = votes.table(path, labels, False, None).set_index("member")
    given = pd.read_csv(found("ferplus.csv.gz"), index_col="member")
    given = given.rename(columns={"happiness": "happy", "sadness": "sad", "anger": "angry"}).loc[table.index]
    assert len(table) == 35887
    pd.testing.assert_frame_equal(table[list(labels)], given[list(labels)], check_dtype=False)
    filed = table.index.str.split("/").str[1]
    assert (table[list(labels)].idxmax(axis=1) == filed).mean() == pytest.approx(0.63, abs=0.02)


def test_the_committed_table_names_each_content_once():
    table = pd.read_csv(votes.FER_PLUS)
    assert table["sha256"].is_unique
    assert table["sha256"].str.len().eq(votes.DIGITS).all()
