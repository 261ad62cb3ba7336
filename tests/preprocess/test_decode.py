"""Archive and manifest become arrays whose rows, labels and index belong together."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from src import params
from src.core import arrays, raw
from src.errors import UserError
from src.evaluate import rotation
from src.params import Dataset, Preprocess
from src.preprocess import decode
from src.split import policies
from tests.core.test_images import FOREIGN, encoded, noise

LABELS = ["sad", "happy"]  # not in alphabetical order
SIZE = 8
PARAMS = params.load(Path(__file__).parents[2] / "params.yaml")


def plain(tone: int) -> bytes:
    """A PNG of one grey tone, by which its row is recognised after any resizing."""
    return encoded(PIL.Image.new("L", (12, 12), tone), "PNG")


def chosen(skip: bool = False, labels: list[str] = LABELS) -> params.Params:
    dataset = Dataset(native_size=16, input_size=SIZE, labels=dict.fromkeys(labels, 1))
    preprocess = Preprocess(interpolation="nearest", skip_unreadable=skip)
    return PARAMS.model_copy(update={"dataset": "small", "datasets": {"small": dataset}, "preprocess": preprocess})


def faces(count: int = 6) -> dict[str, bytes]:
    members = [
        f"{folder}/{label}/{i:04d}.png" for folder in ("train", "test") for label in LABELS for i in range(count)
    ]
    return {member: plain(number % 251) for number, member in enumerate(members)}


BROKEN = {"train/happy/broken.jpg": b"not an image", "test/sad/cut.jpg": encoded(noise(), "JPEG")[:700]}


@pytest.fixture
def prepared(tmp_path):
    """Writes files as an archive and gives it with its manifest."""

    def prepare(files: dict[str, bytes], policy: str = "report") -> tuple[Path, pd.DataFrame]:
        path = tmp_path / "raw.zip"
        raw.write(path, [raw.Image(*name.split("/", 2), lambda data=data: data) for name, data in files.items()])
        return path, policies.build(path, PARAMS.split.model_copy(update={"policy": policy, "validation_share": 0.5}))

    return prepare


def index(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "index.csv", dtype=str, keep_default_na=False)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_rows_match(folder: Path, files: dict[str, bytes]) -> None:
    """Every row of every split holds the image and the label that index.csv says."""
    for split, rows in index(folder).groupby("split"):
        images, labels = arrays.load(folder, split)
        assert len(images) == len(labels) == len(rows)
        for image, label, row in zip(images, labels, rows.itertuples(), strict=True):
            assert np.unique(image) == PIL.Image.open(io.BytesIO(files[row.member])).getpixel((0, 0))
            assert LABELS[label] == row.label == row.member.split("/")[1]


@pytest.mark.parametrize("policy", ["report", "holdout"])
def test_rows_labels_and_index_belong_together(prepared, tmp_path, policy):
    path, table = prepared(faces(), policy)
    assert decode.write(tmp_path / "out", path, table, chosen()) == 0
    assert sorted(index(tmp_path / "out")["member"]) == sorted(table["member"])
    assert_rows_match(tmp_path / "out", faces())


def test_rows_keep_the_order_of_the_manifest(prepared, tmp_path):
    path, table = prepared(faces(), "holdout")
    decode.write(tmp_path / "out", path, table, chosen())
    written = index(tmp_path / "out")
    for split in ("train", "validation", "test"):
        assert list(written["member"][written["split"] == split]) == list(table["member"][table["split"] == split])


def test_more_images_than_are_decoded_at_a_time_stay_in_order(prepared, tmp_path):
    files = faces(600)
    path, table = prepared(files)
    decode.write(tmp_path / "out", path, table, chosen())
    assert len(index(tmp_path / "out")) == 2400
    assert_rows_match(tmp_path / "out", files)


def test_labels_are_numbered_in_the_given_order(prepared, tmp_path):
    path, table = prepared(faces(2))
    for labels in (["sad", "happy"], ["happy", "sad"]):
        decode.write(tmp_path / "out", path, table, chosen(labels=labels))
        _, numbers = arrays.load(tmp_path / "out", "train")
        assert [labels[number] for number in numbers] == ["happy", "happy", "sad", "sad"]


def test_votes_become_shares_of_the_labels_for_training_alone(prepared, tmp_path):
    path, table = prepared(faces(2))
    votes = pd.DataFrame({"votes_sad": [1, 0, 3, 6], "votes_happy": [1, 7, 1, 2]}, index=table.index[-4:])
    decode.write(tmp_path / "out", path, table.join(votes), chosen())
    targets, scored = (arrays.load(tmp_path / "out", split)[1] for split in ("train", "validation"))
    assert (targets.dtype, scored.dtype) == (np.float32, np.uint8)
    assert targets.tolist() == [[0.5, 0.5], [0.0, 1.0], [0.75, 0.25], [0.75, 0.25]]
    assert scored.tolist() == [1, 1, 0, 0]


def test_images_are_loaded_memory_mapped_and_read_only(prepared, tmp_path):
    path, table = prepared(faces())
    decode.write(tmp_path / "out", path, table, chosen())
    images, labels = arrays.load(tmp_path / "out", "train")
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable
    assert (images.shape, images.dtype, labels.dtype) == ((12, SIZE, SIZE), np.uint8, np.uint8)


def test_nothing_but_the_arrays_and_the_index_is_written(prepared, tmp_path):
    path, table = prepared(faces() | BROKEN)
    decode.write(tmp_path / "out" / "a", path, table, chosen(skip=True))
    expected = {f"{split}_{what}.npy" for split in ("train", "validation") for what in ("images", "labels")}
    assert set(tree(tmp_path / "out")) == {f"a/{name}" for name in {*expected, "index.csv"}}


def test_images_that_cannot_be_decoded_are_counted_and_named(prepared, tmp_path):
    path, table = prepared(faces() | BROKEN)
    with pytest.raises(UserError) as raised:
        decode.write(tmp_path / "out", path, table, chosen())
    message = str(raised.value)
    assert "2 of 26 images" in message
    assert all(member in message for member in BROKEN)
    assert "skip_unreadable=true" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", FOREIGN)
def test_an_image_of_another_format_is_named_and_no_program_is_started_for_it(prepared, tmp_path, kind):
    path, table = prepared(faces() | {"train/happy/other.jpg": FOREIGN[kind]})
    with pytest.raises(UserError, match=r"1 of 25 images .*\n  train/happy/other\.jpg: not an image, or in none of"):
        decode.write(tmp_path / "out", path, table, chosen())


def test_an_archive_that_is_damaged_is_named_with_the_member_by_each_stage_that_reads_it(prepared, tmp_path):
    path, table = prepared(faces())
    whole = path.read_bytes()
    readers = (
        lambda: decode.write(tmp_path / "out", path, table, chosen()),
        lambda: policies.build(path, PARAMS.split),
        lambda: list(rotation.batches(path, list(table["member"]), 30, None, SIZE, "nearest")),
    )
    member = b"train/sad/0003.png"
    header, directory = whole.index(member) - 30, whole.rindex(member) - 46
    for place, value in ((header + 100, 7), (header, 0), (header + 30, 0), (directory + 10, 99), (directory + 8, 1)):
        path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        for read in readers:
            with pytest.raises(
                UserError, match=r"raw\.zip: train/sad/0003\.png cannot be read: .*; make it again: dvc"
            ):
                read()
    for damaged in (whole[:-1], whole[:1000], b"", b"<html>"):
        path.write_bytes(damaged)
        for read in readers:
            with pytest.raises(UserError, match=r"raw\.zip is not a complete zip file: .*; make it again: dvc repro"):
                read()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("skipped", [False, True])
def test_the_arrays_are_the_bytes_that_numpy_saves(prepared, tmp_path, skipped):
    """Also when the header was written for more rows than there came to be: from 13 rows to 9."""
    files = faces(6) | ({"train/happy/000x.png": b"broken"} if skipped else {})
    if skipped:
        files |= {f"train/sad/000{i}.png": b"broken" for i in range(3)}
    path, table = prepared(files)
    decode.write(tmp_path / "out", path, table, chosen(skip=True))
    for name in ("train_images", "train_labels", "validation_images", "validation_labels"):
        written = tmp_path / "out" / f"{name}.npy"
        np.save(tmp_path / "again.npy", np.load(written))
        assert written.read_bytes() == (tmp_path / "again.npy").read_bytes()
    assert len(np.load(tmp_path / "out/train_images.npy")) == (9 if skipped else 12)


def test_images_that_cannot_be_decoded_leave_older_arrays_as_they_were(prepared, tmp_path):
    folder = tmp_path / "arrays"
    path, table = prepared(faces())
    decode.write(folder / "ai", path, table, chosen())
    before = tree(folder)
    path, table = prepared(faces() | BROKEN)
    with pytest.raises(UserError):
        decode.write(folder / "ai", path, table, chosen())
    assert tree(folder) == before
    assert [path.name for path in folder.iterdir()] == ["ai"]


def test_of_many_images_that_cannot_be_decoded_the_first_are_named(prepared, tmp_path):
    path, table = prepared(dict.fromkeys(faces(10), b"broken"))
    with pytest.raises(UserError) as raised:
        decode.write(tmp_path / "out", path, table, chosen())
    assert "40 of 40 images" in str(raised.value)
    assert "train/happy/0000.png" in str(raised.value)
    assert len(str(raised.value).splitlines()) < 30


def test_skipped_images_are_counted_and_left_out_everywhere(prepared, tmp_path):
    # sorted, the broken ones stand first, in the middle, and last
    broken = dict.fromkeys(("train/happy/!.png", "train/happy/0003.png", "train/sad/~.png"), b"not an image")
    files = faces() | broken | BROKEN
    path, table = prepared(files)
    assert decode.write(tmp_path / "out", path, table, chosen(skip=True)) == 5
    assert set(index(tmp_path / "out")["member"]) == set(files) - set(broken) - set(BROKEN)
    assert_rows_match(tmp_path / "out", files)


@pytest.mark.parametrize("emptied", ["train/happy", "test/sad", "test"])
def test_a_label_without_a_readable_image_is_refused(prepared, tmp_path, emptied):
    files = {name: b"broken" if name.startswith(emptied) else data for name, data in faces().items()}
    path, table = prepared(files)
    with pytest.raises(UserError, match=r"raw\.zip: after skipping (6|12) unreadable images"):
        decode.write(tmp_path / "out", path, table, chosen(skip=True))
    assert [path.name for path in tmp_path.iterdir()] == ["raw.zip"]


@pytest.mark.parametrize(("policy", "scored"), [("report", "validation"), ("holdout", "test")])
def test_the_split_that_is_kept_back_is_scored_otherwise_validation(prepared, tmp_path, policy, scored):
    path, table = prepared(faces(), policy)
    decode.write(tmp_path / "out", path, table, chosen())
    assert arrays.scored_split(tmp_path / "out") == scored


def test_large_images_are_decoded_in_bounded_memory(tmp_path):
    """24 images of 8 MB each, of which Python holds no more than 100 MB at a time."""
    grain = np.random.default_rng(1).integers(0, 64, (2500, 4000), np.uint8)  # takes longer to decode than to read
    large = encoded(PIL.Image.fromarray(grain), "PNG", compress_level=1)
    assert len(large) > 7_900_000
    members = [f"{folder}/{label}/{i}.png" for folder in ("train", "test") for label in LABELS for i in range(6)]
    raw.write(tmp_path / "raw.zip", [raw.Image(*name.split("/"), lambda: large) for name in members])
    table = pd.DataFrame({"member": members, "label": [name.split("/")[1] for name in members], "split": "train"})
    tracemalloc.start()
    decode.write(tmp_path / "out", tmp_path / "raw.zip", table, chosen())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000
    assert len(arrays.load(tmp_path / "out", "train")[0]) == len(members)
