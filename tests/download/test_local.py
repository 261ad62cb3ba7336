"""Faces from a zip or a folder of the user's, and what is said when it does not have the right layout."""

import hashlib
import io
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from src import params
from src.core import raw
from src.core.raw import Image
from src.download import local
from src.errors import UserError

LABELS = ["happy", "sad"]
PARAMS = params.load(Path(__file__).parents[2] / "params.yaml")


def images(path: str, sha256: str | None, labels: list[str]) -> list[Image]:
    return local.images(path, sha256, labels, PARAMS.layout, PARAMS.limits)


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def faces() -> dict[str, bytes]:
    members = [f"{folder}/{label}/{i}.jpg" for folder in ("train", "test") for label in LABELS for i in range(3)]
    return {member: jpeg(seed) for seed, member in enumerate(members)}


def folder_of(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return path


def zip_of(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return path


@pytest.fixture(params=["zip", "folder"])
def stored(request, tmp_path) -> Callable[[dict[str, bytes]], str]:
    """Puts files into a zip or into a folder, and gives its path."""

    def store(files: dict[str, bytes]) -> str:
        make = zip_of if request.param == "zip" else folder_of
        return str(make(tmp_path / f"faces.{request.param}", files))

    return store


def members(path: str, labels: list[str] = LABELS) -> dict[str, bytes]:
    return {image.member: image.read() for image in images(path, None, labels)}


def test_every_image_is_listed_with_its_bytes(stored):
    assert members(stored(faces())) == faces()


def test_a_zip_and_a_folder_of_the_same_images_give_one_archive(tmp_path):
    files = list(faces().items())
    random.Random(1).shuffle(files)
    zipped = zip_of(tmp_path / "faces.zip", dict(files), zipfile.ZIP_DEFLATED)
    folder = folder_of(tmp_path / "faces", faces())
    for path, canonical in ((zipped, "a.zip"), (folder, "b.zip")):
        raw.write(tmp_path / canonical, images(str(path), None, LABELS))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_folder_entries_in_a_zip_are_no_images(tmp_path):
    path = tmp_path / "faces.zip"
    zip_of(path, faces())
    with zipfile.ZipFile(path, "a") as opened:
        opened.mkdir("train")
        opened.mkdir("train/angry")
    assert members(str(path)) == faces()


@pytest.mark.parametrize("name", ["a.jpeg", "a.JPG", "a.png", "a.bmp", "a.webp", "nested/deeper/a.jpg"])
def test_images_of_every_kind_and_depth_are_taken(stored, name):
    assert f"train/happy/{name}" in members(stored(faces() | {f"train/happy/{name}": b"pixels"}))


@pytest.mark.parametrize(
    ("found", "own"),
    [
        ("Angry", "angry"),
        ("anger", "angry"),
        ("ANGER", "angry"),
        ("HAPPINESS", "happy"),
        ("Sadness", "sad"),
        ("sad", "Sadness"),
        ("angry", "Anger"),
        ("FEAR", "Fear"),
    ],
)
def test_spellings_of_a_label_are_filed_under_the_datasets_own(stored, found, own):
    other = "neutral"
    files = {f"{folder}/{label}/1.jpg": b"pixels" for folder in ("train", "test") for label in (found, other)}
    labels = {image.label for image in images(stored(files), None, [own, other])}
    assert labels == {own, other}


def test_an_unknown_label_is_named_beside_those_known(stored):
    with pytest.raises(UserError) as raised:
        members(stored(faces() | {"train/smug/1.jpg": b"pixels"}))
    assert "train/smug/1.jpg: 'smug'" in str(raised.value)
    assert "happy, sad" in str(raised.value)


@pytest.mark.parametrize("missing", ["train/sad", "test/happy"])
def test_a_folder_without_a_label_is_named(stored, missing):
    with pytest.raises(UserError, match=f"no image in {missing}$"):
        members(stored({name: data for name, data in faces().items() if not name.startswith(missing)}))


@pytest.mark.parametrize(
    "stray", ["README.txt", "train/1.jpg", "train/happy/notes.txt", "valid/happy/1.jpg", "Train/happy/1.jpg", "a/b/c/d"]
)
def test_a_stray_file_is_named(stored, stray):
    with pytest.raises(UserError) as raised:
        members(stored(faces() | {stray: b"something"}))
    assert "1 files" in str(raised.value)
    assert repr(stray) in str(raised.value)


def test_a_folder_around_the_layout_is_refused(stored):
    with pytest.raises(UserError, match=r"12 files .* first 'fer/test/happy/0\.jpg'"):
        members(stored({f"fer/{name}": data for name, data in faces().items()}))


@pytest.mark.parametrize(
    "leftover",
    [".DS_Store", "train/.DS_Store", "__MACOSX/train/happy/._0.jpg", "train/happy/Thumbs.db", "test/sad/desktop.ini"],
)
def test_what_tools_leave_behind_is_ignored(stored, leftover):
    assert members(stored(faces() | {leftover: b"left"})) == faces()


def test_a_path_with_nothing_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.zip"):
        images(str(tmp_path / "nowhere.zip"), None, LABELS)


def test_a_file_that_is_no_zip_is_named(tmp_path):
    (tmp_path / "faces.rar").write_bytes(b"Rar!" + bytes(500))
    with pytest.raises(UserError, match=r"faces\.rar is not a complete zip"):
        images(str(tmp_path / "faces.rar"), None, LABELS)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_zip_cut_short_is_named(tmp_path, share):
    whole = zip_of(tmp_path / "faces.zip", faces())
    whole.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    with pytest.raises(UserError, match=r"faces\.zip is not a complete zip"):
        images(str(whole), None, LABELS)


def test_a_member_whose_bytes_changed_is_named_and_leaves_no_archive(tmp_path):
    path = zip_of(tmp_path / "faces.zip", faces())
    data = path.read_bytes()
    place = data.index(faces()["train/sad/1.jpg"]) + 300
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    listed = images(str(path), None, LABELS)
    with pytest.raises(UserError, match=r"faces\.zip: train/sad/1\.jpg cannot be read: Bad CRC"):
        raw.write(tmp_path / "raw" / "a.zip", listed)
    assert list((tmp_path / "raw").iterdir()) == []


def with_field(data: bytes, local_offset: int, value: int) -> bytes:
    """Sets a 16-bit field in the header of every member, and in the directory, where it stands two bytes later."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\3\4", local_offset), (b"PK\1\2", local_offset + 2)):
        start = changed.find(signature)
        while start >= 0:
            struct.pack_into("<H", changed, start + offset, value)
            start = changed.find(signature, start + 4)
    return bytes(changed)


def test_a_compressed_member_whose_bytes_changed_is_named(tmp_path):
    path = zip_of(tmp_path / "faces.zip", faces(), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as opened:
        place = opened.getinfo("train/sad/1.jpg").header_offset + 30 + len("train/sad/1.jpg")
    data = path.read_bytes()
    path.write_bytes(data[: place + 20] + b"\xff" * 40 + data[place + 60 :])
    with pytest.raises(UserError, match=r"train/sad/1\.jpg cannot be read"):
        members(str(path))


@pytest.mark.parametrize(
    ("field", "value"), [pytest.param(6, 1, id="encrypted"), pytest.param(8, 9, id="compressed with Deflate64")]
)
def test_a_zip_of_a_kind_python_cannot_read_is_named(tmp_path, field, value):
    path = zip_of(tmp_path / "faces.zip", faces())
    path.write_bytes(with_field(path.read_bytes(), field, value))
    with pytest.raises(UserError, match=r"faces\.zip"):
        members(str(path))


def test_a_zip_whose_names_start_with_a_dot_slash_is_read(tmp_path):
    """bsdtar -a -cf faces.zip ./train ./test writes such names."""
    path = zip_of(tmp_path / "faces.zip", {f"./{name}": data for name, data in faces().items()})
    assert members(str(path)) == faces()


def test_the_hash_of_a_zip_is_printed_as_sha256sum_prints_it(tmp_path, capsys):
    path = zip_of(tmp_path / "faces.zip", faces())
    images(str(path), None, LABELS)
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"local_sha256={actual}\n" in capsys.readouterr().out


def test_the_hash_of_a_folder_is_that_of_its_lines(tmp_path, capsys):
    files = faces() | {"train/happy/z.jpg": b"pixels", "train/happy/nested/a.jpg": b"pixels"}
    path = folder_of(tmp_path / "faces", files)
    images(str(path), None, LABELS)
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    actual = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert f"local_sha256={actual}\n" in capsys.readouterr().out


def test_data_of_the_expected_hash_is_accepted(stored, capsys):
    path = stored(faces())
    images(path, None, LABELS)
    printed = capsys.readouterr().out.split("local_sha256=")[1].strip()
    assert len(images(path, printed, LABELS)) == 12


def test_data_of_another_hash_is_refused_with_both(stored, capsys):
    path = stored(faces())
    images(path, None, LABELS)
    actual = capsys.readouterr().out.split("local_sha256=")[1].strip()
    with pytest.raises(UserError) as raised:
        images(path, "0" * 64, LABELS)
    assert actual in str(raised.value)
    assert "0" * 64 in str(raised.value)


@pytest.mark.parametrize("change", ["a byte", "a name"])
def test_any_change_in_a_folder_changes_its_hash(tmp_path, capsys, change):
    path = folder_of(tmp_path / "faces", faces())
    images(str(path), None, LABELS)
    before = capsys.readouterr().out.split("local_sha256=")[1].strip()
    file = path / "train/happy/1.jpg"
    if change == "a byte":
        file.write_bytes(file.read_bytes() + b"\0")
    else:
        file.rename(file.with_name("9.jpg"))
    with pytest.raises(UserError, match=before):
        images(str(path), before, LABELS)


def test_a_relative_path_starts_at_the_users_repository(tmp_path, monkeypatch):
    """DVC runs experiments in a copy elsewhere, where data that git does not track is missing or older."""
    folder_of(tmp_path / "repository" / "faces", faces())
    folder_of(tmp_path / "copy" / "faces", dict.fromkeys(faces(), b"older"))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    monkeypatch.chdir(tmp_path / "copy")
    assert members("faces") == faces()
