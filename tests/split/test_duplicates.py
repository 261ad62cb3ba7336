"""Near-duplicates: the same picture, saved or shifted or lit otherwise; not another picture."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from src import params
from src.core import manifest, raw
from src.errors import UserError
from src.split import duplicates, policies

BITS = params.load().split.near_bits


def picture(seed: int) -> Image.Image:
    """A smooth grey picture (48, 48), another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7), np.uint8)
    return Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def grouped(tmp_path, files: dict[str, bytes], bits: int = BITS) -> pd.Series:
    """The group of each member."""
    path = tmp_path / "a.zip"
    raw.write(path, [raw.Image(*name.split("/", 2), lambda data=data: data) for name, data in files.items()])
    table, hashes = duplicates.fingerprint(path)
    return pd.Series(duplicates.groups(table["sha256"], hashes, bits), table["member"])


@pytest.mark.parametrize(
    "again",
    [
        lambda image: encoded(image, quality=40),
        lambda image: encoded(image, "PNG"),
        lambda image: encoded(image.resize((96, 96), Image.Resampling.BICUBIC)),
        lambda image: encoded(image.point(lambda value: value * 0.8 + 20)),
    ],
    ids=["compressed harder", "as PNG", "enlarged", "paler"],
)
def test_a_picture_saved_otherwise_is_in_the_group_of_the_first(tmp_path, again):
    one, two = picture(1), picture(2)
    group = grouped(tmp_path, {"train/a/1": encoded(one), "train/a/2": encoded(two), "test/a/1": again(one)})
    assert group["test/a/1"] == group["train/a/1"] != group["train/a/2"]


def test_other_pictures_are_in_groups_of_their_own(tmp_path):
    group = grouped(tmp_path, {f"train/a/{seed}": encoded(picture(seed)) for seed in range(300)})
    assert group.nunique() == 300


def test_pictures_of_one_tone_and_broken_ones_are_near_nothing_but_their_copies(tmp_path):
    tones = {f"train/a/{tone}": encoded(Image.new("L", (48, 48), tone), "PNG") for tone in (0, 100, 200)}
    group = grouped(tmp_path, tones | {"train/b/1": b"broken", "train/b/2": b"broken", "train/b/3": b"in another way"})
    assert group.nunique() == 5
    assert group["train/b/1"] == group["train/b/2"]


def test_groups_are_linked_through_their_members_across_blocks():
    """a is near b, b near c, a not near c; 600 other hashes stand between them."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, (602, 4), np.uint64)
    hashes[300] = hashes[0] ^ np.array([0b1111, 0, 0, 0], np.uint64)
    hashes[601] = hashes[300] ^ np.array([0, 0, 0, 0b1111], np.uint64)
    group = duplicates.groups(pd.Series(map(str, range(602))), hashes, 4)
    assert group[0] == group[300] == group[601]
    assert len(set(group)) == 600
    assert len(set(duplicates.groups(pd.Series(map(str, range(602))), hashes, 3))) == 602


@pytest.fixture
def leaking(tmp_path):
    """No official names; 40 pictures a label in train, each twice, and five of them in test again."""
    files = {}
    for number, label in enumerate(("happy", "sad")):
        for seed in range(40):
            image = picture(1000 * number + seed)
            files[f"train/{label}/{seed}_a.jpg"] = encoded(image)
            files[f"train/{label}/{seed}_b.jpg"] = encoded(image, quality=50)
            if seed < 5:
                files[f"test/{label}/{seed}.png"] = encoded(image, "PNG")
    path = tmp_path / "a.zip"
    raw.write(path, [raw.Image(*name.split("/", 2), lambda data=data: data) for name, data in files.items()])
    return path


def test_clean_keeps_near_duplicates_on_one_side_where_names_say_nothing(leaking):
    split = params.load().split.model_copy(update={"policy": "clean", "validation_share": 0.2})
    table = policies.build(leaking, split)
    counts = table.groupby(["split", "label"]).size().unstack().to_dict("index")
    assert counts["test"] == {"happy": 5, "sad": 5}
    assert counts[manifest.LEFT_OUT] == {"happy": 10, "sad": 10}  # both versions of what is tested
    assert counts["validation"] == {"happy": 14, "sad": 14}  # a fifth of 35 pictures, both versions
    assert manifest.straddling(table) == []
    report = policies.build(leaking, split.model_copy(update={"policy": "report"}))
    assert len(manifest.straddling(report)) == 10


def test_a_part_of_the_training_images_is_the_same_share_of_each_label_and_nothing_else_moves(leaking):
    split = params.load().split
    whole, part = (policies.build(leaking, split.model_copy(update={"train_share": share})) for share in (1.0, 0.25))
    assert part[part["split"] == "train"].groupby("label").size().to_dict() == {"happy": 20, "sad": 20}
    assert set(part["split"]) == {"train", "validation", manifest.LEFT_OUT}
    validation = whole["split"] == "validation"
    assert (part["split"] == "validation").equals(validation)


def test_too_small_a_part_is_an_error_that_names_the_param(leaking):
    with pytest.raises(UserError, match=r"split\.train_share = 0\.001"):
        policies.build(leaking, params.load().split.model_copy(update={"train_share": 0.001}))


def test_under_train_folder_the_test_folder_is_not_used(leaking):
    table = policies.build(leaking, params.load().split.model_copy(update={"policy": "train_folder"}))
    folder = table["member"].str.split("/").str[0]
    assert set(zip(folder, table["split"], strict=True)) == {("train", "train"), ("test", manifest.LEFT_OUT)}
