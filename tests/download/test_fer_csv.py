"""FER-2013's original table: every face arrives with its pixels, every malformed row is named with its line."""

import gzip
import hashlib
import io
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from src import params
from src.core import raw
from src.core.raw import Image
from src.download import local
from src.errors import UserError

REPOSITORY = Path(__file__).parents[2]
PARAMS = params.load(REPOSITORY / "params.yaml")
EMOTIONS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
USAGES = ["Training", "PublicTest", "PrivateTest"]
FACES = np.random.default_rng(1).integers(0, 256, (21, 48, 48), dtype=np.uint8)


def text(face: np.ndarray) -> str:
    return " ".join(map(str, face.ravel()))


def rows() -> list[str]:
    """Emotion 0 to 6 in each of the three parts."""
    return [f"{row % 7},{text(face)},{USAGES[row // 7]}" for row, face in enumerate(FACES)]


def table(lines: list[str], header: str = "emotion,pixels,Usage") -> bytes:
    return "\n".join([header, *lines, ""]).encode()


def listed(path: Path, dataset: str = "ai") -> list[Image]:
    return local.images(str(path), None, PARAMS.datasets[dataset].labels, PARAMS.layout, PARAMS.limits)


def csv_at(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def assert_complete(images: list[Image]) -> None:
    """Every face of FACES is there, under the member name and with the pixels it must have."""
    members = {image.member: np.asarray(PIL.Image.open(io.BytesIO(image.read()))) for image in images}
    assert len(members) == len(FACES)
    for row, face in enumerate(FACES):
        folder, usage = ("train" if row < 7 else "test"), USAGES[row // 7]
        np.testing.assert_array_equal(members[f"{folder}/{EMOTIONS[row % 7]}/{usage}_{row}.png"], face)


def zip_of(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return path


def test_a_plain_table_is_read(tmp_path):
    assert_complete(listed(csv_at(tmp_path / "fer2013.csv", table(rows()))))


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"fer2013.csv": table(rows())}, id="alone"),
        pytest.param({"other name.CSV": table(rows())}, id="under another name"),
        pytest.param(
            {"fer2013/README": b"", "fer2013/fer2013.bib": b"@", "fer2013/fer2013.csv": table(rows())},
            id="as fer2013.tar.gz holds it",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_table_in_a_zip_or_folder_is_read(tmp_path, kind, files):
    path = tmp_path / f"faces.{kind}"
    if kind == "zip":
        zip_of(path, files)
    for name, data in files.items() if kind == "folder" else ():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    assert_complete(listed(path))


def test_the_challenges_own_variant_is_read(tmp_path):
    """icml_face_data.csv has another order of columns, and spaces in their names."""
    swapped = [",".join(row.split(",")[column] for column in (0, 2, 1)) for row in rows()]
    files = {"icml_face_data.csv": table(swapped, "emotion, Usage, pixels"), "train.csv": b"", "test.csv": b""}
    assert_complete(listed(zip_of(tmp_path / "faces.zip", files)))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: data.replace(b"\n", b"\r\n"), id="line ends of Windows"),
        pytest.param(lambda data: b"\xef\xbb\xbf" + data, id="a byte order mark"),
        pytest.param(lambda data: data.rstrip(b"\n"), id="no line end at the end"),
        pytest.param(lambda data: data + b"\n\n", id="empty lines at the end"),
        pytest.param(lambda data: b'"' + data[:-1].replace(b",", b'","').replace(b"\n", b'"\n"') + b'"', id="quotes"),
    ],
)
def test_other_ways_to_write_the_same_table_give_the_same_faces(tmp_path, change):
    assert_complete(listed(csv_at(tmp_path / "fer2013.csv", change(table(rows())))))


@pytest.mark.parametrize(
    ("line", "row", "said"),
    [
        (2, f"7,{text(FACES[0])},Training", "emotion '7' is not one of 0 to 6"),
        (9, f"-1,{text(FACES[0])},Training", "emotion '-1'"),
        (22, f"happy,{text(FACES[0])},Training", "emotion 'happy'"),
        (5, f"3,{text(FACES[0])},Test", "Usage 'Test' is not one of Training, PublicTest, PrivateTest"),
        (5, f"3,{text(FACES[0])},", "Usage ''"),
        (4, f"3,{text(FACES[0])} 7,Training", "2305 pixels, not 48 x 48 = 2304"),
        (4, f"3,{text(FACES[0]).rsplit(' ', 1)[0]},Training", "2303 pixels"),
        (4, "3,,Training", "0 pixels"),
        (6, f"3,256 {text(FACES[0]).split(' ', 1)[1]},Training", "pixel '256' is not a whole number from 0 to 255"),
        (6, f"3,-1 {text(FACES[0]).split(' ', 1)[1]},Training", "pixel '-1'"),
        (6, f"3,1.5 {text(FACES[0]).split(' ', 1)[1]},Training", "pixel '1.5'"),
        (6, f"3,x {text(FACES[0]).split(' ', 1)[1]},Training", "pixel 'x'"),
        (7, f"3,{text(FACES[0])}", "2 cells, but 3 columns"),
        (7, f"3,{text(FACES[0])},Training,more", "4 cells, but 3 columns"),
        (8, f'3,"{text(FACES[0])}" 7,Training', "expected after"),
        (3, "3," + "7 " * 40_000 + ",Training", "longer than 65536 characters"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "zip"])
def test_a_malformed_row_is_named_with_its_line(tmp_path, kind, line, row, said):
    lines = rows()
    lines[line - 2] = row
    path = tmp_path / f"fer2013.{kind}"
    if kind == "zip":
        zip_of(path, {"fer2013.csv": table(lines)})
    else:
        path.write_bytes(table(lines))
    with pytest.raises(UserError) as raised:
        listed(path)
    assert f"fer2013.csv, line {line}: " in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "line 1: without the column Usage, emotion, pixels; it has none"),
        (table(rows(), "emotion,pixels,usage"), "line 1: without the column Usage; it has emotion, pixels, usage"),
        (table(rows(), "label,pixels,Usage"), "line 1: without the column emotion"),
        (table([]), "has no image for test/angry, test/disgust,"),
        (table([row for row in rows() if row[0] != "6"]), "has no image for test/neutral, train/neutral"),
        (table(rows())[:-100], "line 22: "),
        (b"\xff\xfe" + table(rows()), "cannot be read: 'utf-8' codec"),
    ],
)
def test_a_table_without_its_columns_or_faces_is_refused(tmp_path, data, said):
    with pytest.raises(UserError) as raised:
        listed(csv_at(tmp_path / "fer2013.csv", data))
    assert f"fer2013.csv{',' if said.startswith('line') else ''} {said}" in str(raised.value)


def tar_of(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        info = tarfile.TarInfo("fer2013/fer2013.csv")
        info.size = len(data)
        opened.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(tar_of(table(rows())), "is no table: without the columns", id="tar"),
        pytest.param(gzip.compress(table(rows())), "cannot be read: 'utf-8' codec", id="gzip"),
        pytest.param(b"\x1b[2J\x07,\0\n", "is no table: without the columns", id="control characters"),
        pytest.param(b"a" * 60_000, "is no table: without the columns", id="one long word"),
        pytest.param(b"\0" * 100_000, "line 1: longer than 65536 characters", id="zeros"),
        pytest.param(table([], ",".join(map(str, range(2305)))), "it has 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …", id="wide"),
        pytest.param(table([f"{'x' * 60_000},1,Training"]), "line 2: emotion 'xxx", id="a long cell"),
        pytest.param(table([f"0,1,{'x' * 60_000}"]), "line 2: Usage 'xxx", id="a long last cell"),
        pytest.param(table([f"0,{text(FACES[0])[:-3]} {'x' * 50_000},Training"]), "line 2: ", id="a long pixel"),
        pytest.param(table(["0\x1b[31m,1,Training"]), r"line 2: emotion '0\x1b[31m'", id="an escaped cell"),
    ],
)
def test_what_is_no_table_is_refused_in_a_short_line_that_can_be_shown(tmp_path, data, said):
    with pytest.raises(UserError) as raised:
        listed(csv_at(tmp_path / "fer2013.csv", data))
    assert said in str(raised.value)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) - len(str(tmp_path)) < 300


@pytest.mark.parametrize("kind", ["csv", "zip", "folder"])
def test_a_table_larger_than_all_files_may_be_is_refused_however_it_comes(tmp_path, kind):
    data, path = table(rows()), tmp_path / f"fer2013.{kind}"
    if kind == "zip":
        zip_of(path, {"fer2013.csv": data})
    elif kind == "folder":
        path.mkdir()
    if kind != "zip":
        csv_at(path / "fer2013.csv" if kind == "folder" else path, data)
    for total, allowed in ((len(data), True), (len(data) - 1, False)):
        limits = PARAMS.limits.model_copy(update={"total_bytes": total})
        try:
            local.images(str(path), None, PARAMS.datasets["ai"].labels, PARAMS.layout, limits)
            assert allowed
        except UserError as error:
            assert not allowed
            assert f"holds {len(data)} bytes, but limits.total_bytes = {total}" in str(error)


def test_many_tables_are_not_all_named(tmp_path):
    path = zip_of(tmp_path / "faces.zip", {f"{number:03}.csv": b"" for number in range(500)})
    with pytest.raises(UserError, match=r"several tables, 000\.csv, .* 004\.csv, …: keep one of them"):
        listed(path)


def test_a_label_the_dataset_lacks_is_named_with_its_line(tmp_path):
    """The third set has no neutral faces."""
    with pytest.raises(UserError, match=r"line 8: 'neutral' is not a label of this dataset, which has Anger"):
        listed(csv_at(tmp_path / "fer2013.csv", table(rows())), "ai2")


def test_several_tables_are_refused(tmp_path):
    path = zip_of(tmp_path / "faces.zip", {"a.csv": table(rows()), "b.csv": table(rows())})
    with pytest.raises(UserError, match=r"several tables, a\.csv, b\.csv"):
        listed(path)


def test_a_table_beside_images_is_a_stray_file(tmp_path):
    path = zip_of(tmp_path / "faces.zip", {"labels.csv": table(rows()), "train/happy/0.png": b"pixels"})
    with pytest.raises(UserError, match=r"1 files do not fit .* first 'labels\.csv'"):
        listed(path)


def test_the_bytes_are_the_same_today_as_when_results_were_published(tmp_path):
    """Not compressed, because what compression gives differs between libraries and CPUs."""
    images = listed(csv_at(tmp_path / "fer2013.csv", table(rows())))
    raw.write(tmp_path / "ai.zip", images)
    known = "3817014a8565b276f8063e1240c8eda8fabdf2b331f97c10484358c7daba12ca"
    assert hashlib.sha256((tmp_path / "ai.zip").read_bytes()).hexdigest() == known


def test_the_official_split_is_recognised(tmp_path):
    from src.split import policies

    lines = [f"{row % 7},{text(np.roll(FACES[row % 21], row))},{USAGES[row // 7 % 3]}" for row in range(42)]
    raw.write(tmp_path / "ai.zip", listed(csv_at(tmp_path / "fer2013.csv", table(lines))))
    found = policies.build(tmp_path / "ai.zip", PARAMS.split.model_copy(update={"policy": "clean"}))
    name = found["member"].str.split("/").str[-1].str.split("_").str[0]
    parts = set(zip(name, found["split"], strict=True))
    assert parts == {("Training", "train"), ("PublicTest", "validation"), ("PrivateTest", "test")}


def test_a_large_table_is_read_in_little_memory(tmp_path):
    """1,000 rows, 8 MB of text and 2.3 MB of pixels."""
    path = zip_of(tmp_path / "faces.zip", {"fer2013.csv": table((rows() * 50)[:1000])}, zipfile.ZIP_STORED)
    tracemalloc.start()
    raw.write(tmp_path / "ai.zip", listed(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
