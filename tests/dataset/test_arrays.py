"""Archive and manifest become arrays whose rows, labels and index belong together."""

import io
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
import pytest

from src import params
from src.dataset import arrays, policies
from src.errors import UserError
from src.params import Preprocess
from src.sources import archive

LABELS = ["sad", "happy"]  # not in alphabetical order
SIZE = 8
DEFAULTS = params.load(Path(__file__).parents[2] / "params.yaml").split


def encoded(image: PIL.Image.Image, kind: str, **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def plain(tone: int) -> bytes:
    """A PNG of one grey tone, by which its row is recognised after any resizing."""
    return encoded(PIL.Image.new("L", (12, 12), tone), "PNG")


def noise(mode: str = "L", size: tuple[int, int] = (48, 48), seed: int = 0) -> PIL.Image.Image:
    shape = (size[1], size[0], 3)
    return PIL.Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).convert(mode)


def how(skip: bool = False, interpolation: str = "nearest") -> Preprocess:
    return Preprocess(interpolation=interpolation, skip_unreadable=skip)


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
        archive.write(
            path, [archive.Image(*name.split("/", 2), lambda data=data: data) for name, data in files.items()]
        )
        return path, policies.build(path, DEFAULTS.model_copy(update={"policy": policy, "validation_share": 0.5}))

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
    assert arrays.write(tmp_path / "out", path, table, LABELS, SIZE, how()) == 0
    assert sorted(index(tmp_path / "out")["member"]) == sorted(table["member"])
    assert_rows_match(tmp_path / "out", faces())


def test_rows_keep_the_order_of_the_manifest(prepared, tmp_path):
    path, table = prepared(faces(), "holdout")
    arrays.write(tmp_path / "out", path, table, LABELS, SIZE, how())
    written = index(tmp_path / "out")
    for split in ("train", "validation", "test"):
        assert list(written["member"][written["split"] == split]) == list(table["member"][table["split"] == split])


def test_more_images_than_are_decoded_at_a_time_stay_in_order(prepared, tmp_path):
    files = faces(600)
    path, table = prepared(files)
    arrays.write(tmp_path / "out", path, table, LABELS, SIZE, how())
    assert len(index(tmp_path / "out")) == 2400
    assert_rows_match(tmp_path / "out", files)


def test_labels_are_numbered_in_the_given_order(prepared, tmp_path):
    path, table = prepared(faces(2))
    for labels in (["sad", "happy"], ["happy", "sad"]):
        arrays.write(tmp_path / "out", path, table, labels, SIZE, how())
        _, numbers = arrays.load(tmp_path / "out", "train")
        assert [labels[number] for number in numbers] == ["happy", "happy", "sad", "sad"]


def test_images_are_loaded_memory_mapped_and_read_only(prepared, tmp_path):
    path, table = prepared(faces())
    arrays.write(tmp_path / "out", path, table, LABELS, SIZE, how())
    images, labels = arrays.load(tmp_path / "out", "train")
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable
    assert (images.shape, images.dtype, labels.dtype) == ((12, SIZE, SIZE), np.uint8, np.uint8)


def test_nothing_but_the_arrays_and_the_index_is_written(prepared, tmp_path):
    path, table = prepared(faces() | BROKEN)
    arrays.write(tmp_path / "out" / "a", path, table, LABELS, SIZE, how(skip=True))
    expected = {f"{split}_{what}.npy" for split in ("train", "validation") for what in ("images", "labels")}
    assert set(tree(tmp_path / "out")) == {f"a/{name}" for name in {*expected, "index.csv"}}


def test_images_that_cannot_be_decoded_are_counted_and_named(prepared, tmp_path):
    path, table = prepared(faces() | BROKEN)
    with pytest.raises(UserError) as raised:
        arrays.write(tmp_path / "out", path, table, LABELS, SIZE, how())
    message = str(raised.value)
    assert "2 of 26 images" in message
    assert all(member in message for member in BROKEN)
    assert "skip_unreadable=true" in message
    assert not (tmp_path / "out").exists()


def test_images_that_cannot_be_decoded_leave_older_arrays_as_they_were(prepared, tmp_path):
    folder = tmp_path / "arrays"
    path, table = prepared(faces())
    arrays.write(folder / "ai", path, table, LABELS, SIZE, how())
    before = tree(folder)
    path, table = prepared(faces() | BROKEN)
    with pytest.raises(UserError):
        arrays.write(folder / "ai", path, table, LABELS, SIZE, how())
    assert tree(folder) == before
    assert [path.name for path in folder.iterdir()] == ["ai"]


def test_of_many_images_that_cannot_be_decoded_the_first_are_named(prepared, tmp_path):
    path, table = prepared({name: b"broken" for name in faces(10)})
    with pytest.raises(UserError) as raised:
        arrays.write(tmp_path / "out", path, table, LABELS, SIZE, how())
    assert "40 of 40 images" in str(raised.value)
    assert "train/happy/0000.png" in str(raised.value)
    assert len(str(raised.value).splitlines()) < 30


def test_skipped_images_are_counted_and_left_out_everywhere(prepared, tmp_path):
    # sorted, the broken ones stand first, in the middle, and last
    broken = dict.fromkeys(("train/happy/!.png", "train/happy/0003.png", "train/sad/~.png"), b"not an image")
    files = faces() | broken | BROKEN
    path, table = prepared(files)
    assert arrays.write(tmp_path / "out", path, table, LABELS, SIZE, how(skip=True)) == 5
    assert set(index(tmp_path / "out")["member"]) == set(files) - set(broken) - set(BROKEN)
    assert_rows_match(tmp_path / "out", files)


@pytest.mark.parametrize("emptied", ["train/happy", "test/sad", "test"])
def test_a_label_without_a_readable_image_is_refused(prepared, tmp_path, emptied):
    files = {name: b"broken" if name.startswith(emptied) else data for name, data in faces().items()}
    path, table = prepared(files)
    with pytest.raises(UserError, match=r"raw\.zip: after skipping (6|12) unreadable images"):
        arrays.write(tmp_path / "out", path, table, LABELS, SIZE, how(skip=True))
    assert [path.name for path in tmp_path.iterdir()] == ["raw.zip"]


@pytest.mark.parametrize(("policy", "scored"), [("report", "validation"), ("holdout", "test")])
def test_the_split_that_is_kept_back_is_scored_otherwise_validation(prepared, tmp_path, policy, scored):
    path, table = prepared(faces(), policy)
    arrays.write(tmp_path / "out", path, table, LABELS, SIZE, how())
    assert arrays.scored_split(tmp_path / "out") == scored


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_an_image_cut_short_is_not_decoded(kind):
    whole = encoded(noise("RGB"), kind)
    assert arrays.decode(whole).shape == noise("RGB").size[::-1]
    for length in (0, 10, len(whole) // 2, len(whole) * 9 // 10):
        with pytest.raises(ValueError):
            arrays.decode(whole[:length])


def turned(orientation: int) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = orientation
    return exif


FILES = {
    "colour.jpg": encoded(noise("RGB", (57, 31)), "JPEG"),
    "grey.jpg": encoded(noise("L", (48, 48)), "JPEG"),
    "cmyk.jpg": encoded(noise("CMYK", (40, 60)), "JPEG"),
    "colour.png": encoded(noise("RGB", (57, 31)), "PNG"),
    "transparent.png": encoded(noise("RGBA", (31, 57)), "PNG"),
    "palette.png": encoded(noise("P", (48, 48)), "PNG"),
    "grey.png": encoded(noise("L", (64, 48)), "PNG"),
    "black and white.png": encoded(noise("1", (48, 48)), "PNG"),
    "half transparent.png": encoded(noise("LA", (48, 48)), "PNG"),
    "transparent palette.png": encoded(noise("P", (48, 48)), "PNG", transparency=3),
    "16 bits a colour.png": cv2.imencode(".png", np.random.default_rng(1).integers(0, 2**16, (48, 40, 3), np.uint16))[
        1
    ].tobytes(),
    "cmyk.tif": encoded(noise("CMYK", (40, 60)), "TIFF"),
    "pages.tif": encoded(noise("L"), "TIFF", save_all=True, append_images=[noise("L", seed=1)]),
    "animated.png": encoded(noise("RGB"), "PNG", save_all=True, append_images=[noise("RGB", seed=1)]),
    "animated.gif": encoded(noise("P"), "GIF", save_all=True, append_images=[noise("P", seed=1)]),
    "animated.webp": encoded(noise("RGB"), "WEBP", save_all=True, append_images=[noise("RGB", seed=1)]),
    "on its side.jpg": encoded(noise("RGB", (57, 31)), "JPEG", exif=turned(6)),
    "mirrored.png": encoded(noise("RGB", (57, 31)), "PNG", exif=turned(2)),
    "wrong extension.png": encoded(noise("RGB", (57, 31)), "JPEG"),
}


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_pixels_are_those_of_keras(tmp_path, interpolation):
    from keras.utils import load_img

    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
        for size in (20, 48, 100):
            keras = load_img(
                tmp_path / name, color_mode="grayscale", target_size=(size, size), interpolation=interpolation
            )
            ours = arrays.resize(arrays.decode(data), size, interpolation)
            assert ours.dtype == np.uint8
            np.testing.assert_array_equal(ours, np.asarray(keras, np.uint8), f"{name} at {size}")


def test_an_exif_orientation_turns_the_image_only_where_that_is_asked_for():
    upright = encoded(noise("L", (48, 48)), "PNG")
    for orientation in range(1, 9):
        marked = encoded(noise("L", (48, 48)), "PNG", exif=turned(orientation))
        assert marked != upright
        np.testing.assert_array_equal(arrays.decode(marked), np.asarray(noise("L", (48, 48))))
        np.testing.assert_array_equal(
            arrays.decode(marked, upright=True),
            np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(marked)))),
        )


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF"])
def test_of_an_animation_or_several_pages_the_first_is_taken(kind):
    """And it is an animation: the second frame is another one."""
    how = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(noise("L"), kind, save_all=True, append_images=[noise("L", seed=1)], **how)
    opened = PIL.Image.open(io.BytesIO(data))
    assert opened.n_frames == 2
    np.testing.assert_array_equal(arrays.decode(data), np.asarray(opened.convert("L")))
    opened.seek(1)
    assert not np.array_equal(arrays.decode(data), np.asarray(opened.convert("L")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_grey_of_16_bits_is_refused(kind):
    """Keras would hand 65535 to a network that expects 255 at most."""
    deep = PIL.Image.fromarray(np.full((48, 48), 40_000, np.uint16))
    with pytest.raises(ValueError, match="more than 8 bits per channel"):
        arrays.decode(encoded(deep, kind))


def test_floating_point_grey_is_refused():
    with pytest.raises(ValueError, match="more than 8 bits per channel"):
        arrays.decode(encoded(PIL.Image.fromarray(np.ones((48, 48), np.float32)), "TIFF"))


def test_large_images_are_decoded_in_bounded_memory(tmp_path):
    """24 images of 8 MB each, of which Python holds no more than 100 MB at a time."""
    grain = np.random.default_rng(1).integers(0, 64, (2500, 4000), np.uint8)  # takes longer to decode than to read
    large = encoded(PIL.Image.fromarray(grain), "PNG", compress_level=1)
    assert len(large) > 7_900_000
    members = [f"{folder}/{label}/{i}.png" for folder in ("train", "test") for label in LABELS for i in range(6)]
    archive.write(tmp_path / "raw.zip", [archive.Image(*name.split("/"), lambda: large) for name in members])
    table = pd.DataFrame({"member": members, "label": [name.split("/")[1] for name in members], "split": "train"})
    tracemalloc.start()
    arrays.write(tmp_path / "out", tmp_path / "raw.zip", table, LABELS, SIZE, how())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000
    assert len(arrays.load(tmp_path / "out", "train")[0]) == len(members)
