"""The canonical archive and the deterministic selection from a list of images."""

import hashlib
import random
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from src.core import raw
from src.core.raw import Image
from src.download import selection
from src.errors import UserError


def image(member: str, data: bytes = b"pixels") -> Image:
    folder, label, name = member.split("/", 2)
    return Image(folder, label, name, lambda: data)


def listed(sizes: dict[tuple[str, str], int]) -> list[Image]:
    return [image(f"{folder}/{label}/{i}.jpg") for (folder, label), count in sizes.items() for i in range(count)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def shuffled(images: list[Image], seed: int) -> list[Image]:
    return random.Random(seed).sample(images, len(images))


MEMBERS = ["train/sad/b.jpg", "test/sad/b.jpg", "train/happy/z.jpg", "train/happy/a/10.jpg", "train/happy/B.jpg"]


def test_members_are_sorted_and_hold_the_images(tmp_path):
    raw.write(tmp_path / "a.zip", [image(member, member.encode()) for member in MEMBERS])
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert opened.namelist() == sorted(MEMBERS)
        assert {name: opened.read(name) for name in MEMBERS} == {name: name.encode() for name in MEMBERS}


@pytest.mark.parametrize("seed", range(3))
def test_bytes_do_not_depend_on_the_order_of_the_images(tmp_path, seed):
    images = [image(member, member.encode()) for member in MEMBERS]
    raw.write(tmp_path / "a.zip", images)
    raw.write(tmp_path / "b.zip", iter(shuffled(images, seed)))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_bytes_do_not_depend_on_the_day_or_the_platform(tmp_path):
    raw.write(tmp_path / "a.zip", [image("train/sad/b.jpg", b"one"), image("test/happy/ü.jpg", b"two")])
    known = "1bede45e30b02af6107bd2e40e082d85574f6b72dd022b0323999304ee6d07ba"
    assert hashlib.sha256((tmp_path / "a.zip").read_bytes()).hexdigest() == known


def test_two_images_of_one_name_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(UserError, match=r"train/sad/b\.jpg"):
        raw.write(tmp_path / "a.zip", [image(member) for member in [*MEMBERS, "train/sad/b.jpg"]])
    assert names(tmp_path) == []


def test_two_images_of_one_name_leave_an_older_archive_as_it_was(tmp_path):
    raw.write(tmp_path / "a.zip", [image("train/sad/old.jpg")])
    before = (tmp_path / "a.zip").read_bytes()
    with pytest.raises(UserError):
        raw.write(tmp_path / "a.zip", [image("train/sad/b.jpg"), image("train/sad/b.jpg")])
    assert (tmp_path / "a.zip").read_bytes() == before
    assert names(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("older", [False, True])
def test_an_image_that_cannot_be_read_leaves_nothing_half_written(tmp_path, older):
    path = tmp_path / "raw" / "a.zip"
    if older:
        raw.write(path, [image("train/sad/old.jpg")])
        before = path.read_bytes()

    def read() -> bytes:
        raise UserError("train/sad/c.jpg cannot be read")

    images = [image("train/sad/b.jpg"), Image("train", "sad", "c.jpg", read), image("train/sad/d.jpg")]
    with pytest.raises(UserError, match=r"c\.jpg"):
        raw.write(path, images)
    assert names(path.parent) == (["a.zip"] if older else [])
    if older:
        assert path.read_bytes() == before


UNEVEN = {("train", "happy"): 61, ("train", "sad"): 30, ("train", "rare"): 7, ("test", "happy"): 17, ("test", "sad"): 8}


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.5, 18100 / 35887, 0.99, 1])
def test_a_selection_keeps_its_share_of_every_label_in_every_folder(share):
    images = listed(UNEVEN)
    selected = selection.select(images, share)
    assert len(selected) == round(len(images) * share)
    kept = Counter((image.folder, image.label) for image in selected)
    for cell, size in UNEVEN.items():
        assert abs(kept[cell] - size * len(selected) / len(images)) < 1


@pytest.mark.parametrize(("share", "empty"), [(0.03, "train/rare"), (0.01, "test/happy, test/sad, train/rare, ")])
def test_a_selection_that_would_leave_a_label_without_images_is_refused(share, empty):
    with pytest.raises(UserError) as raised:
        selection.select(listed(UNEVEN), share)
    assert empty in str(raised.value)
    assert "datasets.<name>.labels" in str(raised.value)


def test_a_selection_repeats_no_image_and_invents_none():
    images = listed(UNEVEN)
    members = [image.member for image in selection.select(images, 0.5)]
    assert len(set(members)) == len(members)
    assert set(members) < {image.member for image in images}


@pytest.mark.parametrize("seed", range(3))
def test_a_selection_does_not_depend_on_the_order_of_the_images(seed):
    images = listed(UNEVEN)
    expected = {image.member for image in selection.select(images, 0.4)}
    assert {image.member for image in selection.select(shuffled(images, seed), 0.4)} == expected


def test_a_selection_is_the_same_today_as_when_results_were_published():
    images = listed({("train", "sad"): 10, ("test", "sad"): 5})
    assert sorted(image.member for image in selection.select(images, 0.4)) == [
        "test/sad/0.jpg",
        "test/sad/1.jpg",
        "train/sad/1.jpg",
        "train/sad/2.jpg",
        "train/sad/4.jpg",
        "train/sad/6.jpg",
    ]


@pytest.mark.parametrize(
    ("seats", "expected"),  # a textbook example, with its paradox: one seat more, and d and e lose one
    [(25, [7, 7, 4, 3, 3, 1]), (26, [8, 8, 5, 2, 2, 1])],
)
def test_apportionment_is_by_largest_remainder(seats, expected):
    votes = dict(zip("abcdef", [1500, 1500, 900, 500, 500, 200], strict=True))
    assert list(selection.apportion(seats, votes).values()) == expected


def test_apportionment_gives_a_tie_to_the_first_name():
    assert selection.apportion(1, {"b": 3, "a": 3}) == {"b": 0, "a": 1}


@pytest.mark.parametrize("seed", range(20))
def test_apportionment_sums_exactly_and_is_off_by_less_than_one(seed):
    rng = random.Random(seed)
    weights = {f"label{i}": rng.randint(1, 9000) for i in range(rng.randint(1, 9))}
    total = rng.randint(0, 40000)
    parts = selection.apportion(total, weights)
    assert sum(parts.values()) == total
    for label, weight in weights.items():
        assert abs(parts[label] - total * weight / sum(weights.values())) < 1
