"""`python -m src.predict` as a user types it, after `dvc repro`."""

import csv
import fcntl
import io
import json
import os
import pty
import shutil
import socket
import struct
import subprocess
import sys
import termios
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from src.evaluate import calibration
from src.revisions import resolve
from tests.conftest import HERE, Clone, environment, without_privileges
from tests.core.test_images import FOREIGN, POSTSCRIPT, SIDEWAYS, enlarged, exif, turned, with_fake_ghostscript

PREDICT = ("python", "-m", "src.predict")
HEADER = (
    *("photo", "face", "left", "top", "right", "bottom", "roll", "label", "probability"),
    *("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise", "error"),
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Photos of every kind, with drawn faces."""
    folder = tmp_path_factory.mktemp("photos")
    sheet = Image.open(HERE / "docs/images/faces_416.png").convert("RGB")
    one = sheet.crop((1005, 258, 1205, 458))
    one.save(folder / "1-one.png")
    sheet.crop((790, 258, 1205, 458)).save(folder / "2-two.png")
    sideways = Image.Exif()
    sideways[0x0112] = 6  # the camera was turned: to be shown turned clockwise
    one.rotate(90, expand=True).save(folder / "3-sideways.png", exif=sideways)
    Image.new("L", (120, 90), 128).save(folder / "4-empty.png")
    one.save(folder / "5-whole.jpg")
    whole = (folder / "5-whole.jpg").read_bytes()
    (folder / "5-whole.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "6-text.png").write_text("no picture")
    (folder / "7-bomb.png").write_bytes(enlarged(60_000, 60_000))
    Image.fromarray(np.full((60, 60), 40_000, np.uint16)).save(folder / "8-deep.png")
    (folder / "9-note.txt").write_text("not an image by its name")
    (folder / "none").mkdir()
    return folder


def test_every_photo_is_a_row_that_says_what_is_in_it_or_why_not(reproduced, photos):
    done = reproduced.run(*PREDICT, str(photos), "nowhere.png", str(photos / "none"), "--csv", ok=False)
    assert done.returncode == 1
    assert "error: 6 of 10 photos could not be read" in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(Path(row["photo"]).name, row["face"]) for row in rows] == [
        *(("1-one.png", "1"), ("2-two.png", "1"), ("2-two.png", "2"), ("3-sideways.png", "1"), ("4-empty.png", "")),
        *(("5-whole.jpg", ""), ("6-text.png", ""), ("7-bomb.png", ""), ("8-deep.png", "")),
        *(("nowhere.png", ""), ("none", "")),
    ]
    assert tuple(rows[0]) == HEADER
    messages = {Path(row["photo"]).name: row["error"] for row in rows}
    for name, message in {
        "4-empty.png": "no face found",
        "5-whole.jpg": "cannot be decoded: image file is truncated",
        "6-text.png": "cannot be decoded: not an image",
        "7-bomb.png": "cannot be decoded: more than 268435456 pixels",
        "8-deep.png": "more than 8 bits per channel",
        "nowhere.png": "No such file",
        "none": "a folder without images",
    }.items():
        assert message in messages[name]
    assert done.stderr.splitlines()[0] == "nowhere.png: No such file or directory"
    one, left, right, sideways = rows[:4]
    values = [float(one[label]) for label in list(rows[0])[9:16]]
    assert sum(values) == pytest.approx(1, abs=1e-3)
    assert float(one["probability"]) == max(values) == float(one[one["label"]])
    assert {**one, "photo": ""} == {**sideways, "photo": ""}  # upright, and the same pixels
    assert int(left["right"]) < int(right["left"])


def test_the_json_has_the_documented_fields_and_the_figure_is_drawn(reproduced, photos, tmp_path):
    names = "\n".join(str(photos / name) for name in ("2-two.png", "4-empty.png"))
    listed = tmp_path / "list"
    listed.write_text(names + "\n")
    figure = tmp_path / "figure.png"
    script = f"python -m src.predict - --json --figure {figure} < {listed}"
    rows = json.loads(reproduced.run("bash", "-c", script).stdout)
    assert [list(row) for row in rows] == 3 * [
        ["photo", "face", "box", "roll", "label", "probability", "probabilities", "error"]
    ]
    assert [row["error"] for row in rows] == [None, None, "no face found"]
    assert rows[2] == {**dict.fromkeys(rows[2]), "photo": str(photos / "4-empty.png"), "error": "no face found"}
    assert Image.open(figure).size[1] > 563 + 720  # two photos, the first with its faces below


def test_the_figure_of_a_group_photo_shows_it_once_with_its_faces_framed_and_what_the_network_saw(reproduced, tmp_path):
    group = HERE / "docs/images/faces_416.png"
    figure = tmp_path / "figure.png"
    done = reproduced.run(*PREDICT, "--json", "--figure", str(figure), str(group))
    boxes = [row["box"] for row in json.loads(done.stdout)]
    assert len(boxes) > 30
    assert done.stderr == ""
    drawn = np.asarray(Image.open(figure).convert("RGB")).astype(int)
    photo = Image.open(group).convert("RGB")
    factor = 860 / photo.height  # it is higher than wide
    shown = np.asarray(photo.resize((round(photo.width * factor), 860), Image.Resampling.BICUBIC)).astype(int)
    picture = drawn[26 : 26 + 860, 16 : 16 + shown.shape[1]]
    changed = np.abs(picture - shown).max(axis=2) > 40
    assert changed.mean() < 0.15  # by frames and labels
    for left, top, right, bottom in (np.array(box) * factor for box in boxes):
        middle = int((top + bottom) / 2)
        for edge in (left, right):
            assert changed[middle, max(0, int(edge) - 3) : int(edge) + 4].any()  # its frame
    strip = drawn[26 + 860 :]
    grey = (np.ptp(strip, axis=2) == 0) & (strip[..., 0] < 250)
    assert grey.sum() > 0.8 * len(boxes) * 104**2


def test_what_a_figure_leaves_out_is_said_in_one_line_and_its_limits_in_the_help(elsewhere, photos, tmp_path):
    names = [str(photos / "1-one.png")] * 14
    done = predicted(elsewhere, "--cropped", "--figure", str(tmp_path / "figure.png"), *names)
    assert done.returncode == 0
    said, _ = done.stderr.decode().splitlines()
    assert said == "the figure leaves out 2 of 14 photos; it shows 12 photos at most, and 60 faces of each"
    assert 12 * 860 < Image.open(tmp_path / "figure.png").size[1] < 13 * 910
    told = " ".join(predicted(elsewhere, "--help").stdout.decode().split())
    assert "draw the first 12 photos that can be read, with the first 60 faces of each" in told


def on_a_terminal(folder: Path, *arguments: str) -> list[tuple[float, bytes]]:
    """What a process with a terminal for all of its output writes there, and when, in seconds."""
    begun = time.monotonic()
    process, terminal = pty.fork()
    if process == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        os.chdir(folder)
        os.execvpe(sys.executable, [sys.executable, *PREDICT[1:], *arguments], environment())
    written = []
    with suppress(OSError):  # how Linux says that the other end is closed
        while data := os.read(terminal, 65536):
            written.append((time.monotonic() - begun, data))
    os.close(terminal)
    os.waitpid(process, 0)
    return written


def screen(written: bytes) -> list[str]:
    """The lines that are seen in the end."""
    lines = []
    for line in written.decode().replace("\r\n", "\n").split("\n"):
        seen = ""
        for part in line.split("\r"):
            seen = part + seen[len(part) :]
        lines.append(seen.rstrip())
    return lines


def test_a_terminal_is_told_at_once_what_is_going_on_and_shows_the_answers_alone_in_the_end(elsewhere, photos):
    """Where standard error is none, nothing is told."""
    names = [str(photos / "1-one.png"), "nowhere.png", str(photos / "2-two.png")]
    written = on_a_terminal(elsewhere, *names)
    first, text = written[0]
    assert text.decode().strip() == "loading the model, then the photos …"
    assert first < written[-1][0] / 4  # before TensorFlow, pandas and SciPy
    quiet = subprocess.run([*PREDICT, *names], cwd=elsewhere, env=environment(), capture_output=True, text=True)
    beforehand, summary = quiet.stderr.splitlines()
    answers = [line.rstrip() for line in quiet.stdout.splitlines()]
    assert screen(b"".join(data for _, data in written)) == [beforehand, *answers, summary, ""]


def test_what_is_wrong_stands_alone_on_a_terminal(elsewhere, tmp_path):
    """The model here, which is none; what is told before is gone."""
    (tmp_path / "src").symlink_to(HERE / "src")
    written = b"".join(data for _, data in on_a_terminal(tmp_path, str(HERE / "docs/images/faces_416.png")))
    assert "loading the model" in written.decode()
    assert [line[:6] for line in screen(written)] == ["error:", ""]


@pytest.mark.slow
def test_a_photo_of_many_megapixels_is_answered_as_a_small_one(reproduced, photos, tmp_path):
    """With its boxes in its own pixels, 25 and 100 million, of which no more than 17 million are looked at."""
    one = Image.open(photos / "1-one.png")
    one.save(tmp_path / "0.png")
    sideways = one.resize((5000, 5000), Image.Resampling.BICUBIC).rotate(90)
    sideways.save(tmp_path / "1.jpg", quality=95, exif=turned(6))
    one.resize((10_000, 10_000), Image.Resampling.BICUBIC).save(tmp_path / "2.png", compress_level=1)
    figure = tmp_path / "figure.png"
    done = reproduced.run(*PREDICT, str(tmp_path), "--json", "--figure", str(figure))
    small, *large = json.loads(done.stdout)
    width = small["box"][2] - small["box"][0]
    for row, factor in zip(large, (25, 50), strict=True):
        assert row["label"] == small["label"]
        assert np.array(row["box"]) / factor == pytest.approx(np.array(small["box"]), abs=width / 5)
    assert Image.open(figure).size[1] > 3 * 860  # three photos, of one size in it


def some_test_faces(clone: Clone, folder: Path) -> list[Path]:
    folder.mkdir()
    with zipfile.ZipFile(clone.path / "data/raw.zip") as archive:
        members = sorted(name for name in archive.namelist() if name.startswith("test/"))[::5]
        for number, member in enumerate(members):
            (folder / f"{number:03}{Path(member).suffix}").write_bytes(archive.read(member))
    return members


def test_cropped_faces_get_what_evaluate_gives_them_calibrated(reproduced, tmp_path):
    members = some_test_faces(reproduced, tmp_path / "faces")
    done = reproduced.run(*PREDICT, "--cropped", "--csv", str(tmp_path / "faces" / "*.*"))
    table = pd.read_csv(io.StringIO(done.stdout))
    known = pd.read_csv(reproduced.path / "data/predictions.csv").set_index("member").loc[members]
    labels = list(table.columns[9:16])
    temperature = json.loads((reproduced.path / "models/calibration.json").read_text())["temperature"]
    assert temperature != 1
    np.testing.assert_allclose(table[labels], calibration.tempered(known[labels].to_numpy(), temperature), atol=1e-4)
    assert table["label"].tolist() == known["predicted"].tolist()


@pytest.mark.slow
def test_any_earlier_model_can_be_used_and_one_of_straightened_faces_straightens(reproduced, tmp_path):
    """By DVC experiment, by git revision, and by MLflow run."""
    members = some_test_faces(reproduced, tmp_path / "faces")
    shutil.copytree(reproduced.path, tmp_path / "copy")  # another experiment is not what other tests expect in there
    clone = Clone(tmp_path / "copy")
    changes = ("preprocess.align=eyes", "evaluate.rotations=[-30,0]", "epochs=1")
    clone.run("dvc", "exp", "run", "--temp", "-n", "straight", *(word for change in changes for word in ("-S", change)))

    faces = json.loads(clone.show("straight", "metrics/preprocess.json"))["faces"]
    assert faces["found"] == sum(faces["roll"].values())
    assert 0.3 < faces["share"] < 1
    evaluated = json.loads(clone.show("straight", "metrics/eval.json"))
    assert list(evaluated["rotations"]) == ["-30", "0"]
    assert evaluated["rotations"]["0"] == pytest.approx(evaluated["accuracy"], abs=0.02)

    def predicted(*options: str) -> str:
        return clone.run(*PREDICT, "--cropped", "--csv", *options, str(tmp_path / "faces" / "*.*")).stdout

    assert predicted("--run", "HEAD") == predicted("--run", "ai conv3 seed1")
    table = pd.read_csv(io.StringIO(predicted("--run", "straight")))
    stored = tmp_path / "predictions.csv"
    commit = resolve(clone.path, "straight")
    clone.run("dvc", "get", ".", "data/predictions.csv", "--rev", commit, "-o", str(stored))
    known = pd.read_csv(stored).set_index("member").loc[members]
    assert (table["label"].to_numpy() == known["predicted"].to_numpy()).mean() > 0.95

    failed = clone.run(*PREDICT, "--run", "nobody", "a.png", ok=False)
    assert failed.returncode == 1
    assert "nobody is neither a DVC experiment or git revision nor an MLflow run" in failed.stderr
    assert "Traceback" not in failed.stderr


# As `python -m src.predict` is, and then says on standard error whether TensorFlow was imported.
WATCHED = """
import runpy, sys
try:
    runpy.run_module("src.predict", run_name="__main__", alter_sys=True)
finally:
    print("TensorFlow:", "tensorflow" in sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def elsewhere(reproduced, tmp_path_factory) -> Path:
    """A folder with a model and the code, and nothing else: no params.yaml, no repository."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(reproduced.path / "models", folder / "models")
    (folder / "src").symlink_to(HERE / "src")
    return folder


def predicted(folder: Path, *arguments: str | bytes, stdin: bytes = b"", **how) -> subprocess.CompletedProcess:
    """With bytes, because names are. No photo takes minutes."""
    how = {"env": environment(), "timeout": 100} | how
    command = [sys.executable, "-c", WATCHED, *arguments]
    return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, preexec_fn=without_privileges, **how)


def rows_of(done: subprocess.CompletedProcess) -> list[dict]:
    return list(csv.DictReader(io.StringIO(done.stdout.decode())))


@pytest.fixture(scope="module")
def traps(tmp_path_factory) -> dict[bytes, str]:
    """Names of all that is no photo, and what each row says."""
    folder = tmp_path_factory.mktemp("traps")
    os.mkfifo(folder / "pipe.jpg")
    socket.socket(socket.AF_UNIX).bind(str(folder / "socket.jpg"))
    (folder / "dangling.jpg").symlink_to("nowhere")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "to a pipe.jpg").symlink_to("pipe.jpg")
    (folder / "empty").mkdir()
    closed = folder / "closed"
    closed.mkdir(mode=0)
    names = {
        **{"pipe.jpg": "a pipe, not a file", "to a pipe.jpg": "a pipe, not a file"},
        **{"socket.jpg": "a socket, not a file", "dangling.jpg": "a link to nowhere: No such file or directory"},
        **{"loop.jpg": "a link to loop.jpg: Too many levels of symbolic links", "closed": "Permission denied"},
        **{"empty": "a folder without images", "closed/a.jpg": "Permission denied"},
        **{"x" * 300: "File name too long", "pipe.jpg/below": "Not a directory"},
        **{"a\nb.jpg": "No such file or directory", "\x1b]0;title\x07.jpg": "No such file or directory"},
        **{"\x9b31m.jpg": "No such file or directory", "\u202egpj.exe": "No such file or directory"},
    }
    traps = {os.fsencode(folder / name): said for name, said in names.items()}
    traps |= {b"": "No such file or directory", os.fsencode(folder) + b"/\xff.jpg": "No such file or directory"}
    return traps | {b"/dev/zero": "a device, not a file", b"/dev/tty": "a device, not a file"}


@pytest.mark.parametrize("form", ["--csv", "--json", "table"])
def test_what_is_no_file_is_a_row_that_says_what_it_is_and_needs_no_tensorflow(elsewhere, traps, form):
    """In the order of the names, and beforehand on standard error; nothing waits, and nothing forges a line."""
    options = [] if form == "table" else [form]
    done = predicted(elsewhere, *options, "--", *traps)
    assert done.returncode == 1
    *beforehand, summary, tensorflow = done.stderr.decode().split("\n")[:-1]
    assert tensorflow == "TensorFlow: False"
    assert summary == f"error: {len(traps)} of {len(traps)} photos could not be read"
    assert [line.split(": ", 1)[1] for line in beforehand] == list(traps.values())
    text = done.stdout.decode()
    assert all(one.isprintable() for one in text if one != "\n")
    if form == "--json":
        rows = json.loads(text)
        assert [row["error"] for row in rows] == list(traps.values())
        assert [os.fsencode(row["photo"]) for row in rows] == list(traps)  # JSON can say any name
    elif form == "--csv":
        rows = rows_of(done)
        assert [row["error"] for row in rows] == list(traps.values())
        assert tuple(rows[0]) == HEADER
        assert any(row["photo"].endswith(r"/\xff.jpg") for row in rows)
    else:
        header, *lines = text.splitlines()
        assert " ".join(header.split()) == "photo face emotion angry disgust fear happy neutral sad surprise"
        assert len(lines) == len(traps)
        assert all(line.endswith(said) for line, said in zip(lines, traps.values(), strict=True))


def test_a_list_on_standard_input_may_hold_any_bytes(elsewhere, traps):
    listed = [b"x" * 300, b"a\0b.jpg", b"\xff\xfe.jpg", b"y" * 20_000, b"after.jpg", *traps]
    stdin = b"\r\n".join(name for name in listed if name and b"\n" not in name) + b"\n\n\nlast.jpg"
    done = predicted(elsewhere, "-", "--csv", stdin=stdin)
    assert done.returncode == 1
    rows = rows_of(done)
    assert [row["photo"][:12] for row in rows[:5]] == ["x" * 12, r"a\x00b.jpg", r"\xff\xfe.jpg", "y" * 12, "after.jpg"]
    assert rows[1]["error"] == "a name that no file can have"
    assert rows[3]["error"] == "File name too long"
    assert rows[-1]["photo"] == "last.jpg"
    assert len(rows) == 5 + len([name for name in traps if name and b"\n" not in name]) + 1
    assert predicted(elsewhere, "-", "--json", stdin=b"").stdout == b"[]\n"


def test_hostile_files_are_rows_beside_a_good_photo_and_the_figure_is_drawn(elsewhere, photos, tmp_path):
    """Named as no text can be, the good one comes last, and again by links; JSON, with no Ghostscript started."""
    tools = tmp_path / "tools"
    tools.mkdir()
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "00.jpg").write_bytes(POSTSCRIPT)
    for number, data in enumerate(FOREIGN.values(), 1):
        (folder / f"{number:02}.png").write_bytes(data)
    (folder / "50.jpg").write_bytes(b"")
    with (folder / "51.jpg").open("wb") as sparse:
        sparse.truncate(2**40)
    (folder / "52.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "52.jpg").chmod(0)
    os.mkfifo(folder / "53.jpg")
    one = Image.open(photos / "1-one.png")
    one.rotate(90, expand=True).save(folder / "90.jpg", exif=exif(SIDEWAYS, (0x011A, 2, 3, b"72\0\0")), quality=95)
    good = os.fsencode(folder) + b"/91\xff\n\x1b[2J.png"
    shutil.copy(photos / "1-one.png", good)
    (folder / "92.png").symlink_to(good)
    figure = tmp_path / "figure.png"
    environment_ = environment() | with_fake_ghostscript(tools)
    done = predicted(elsewhere, "--json", "--figure", str(figure), os.fsencode(folder), env=environment_)
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert not (tools / "started").exists()
    rows = json.loads(done.stdout)
    assert len(rows) == len(FOREIGN) + 8
    for row, kind in zip(rows, ["PostScript", *FOREIGN], strict=False):
        if kind == "AVIF":
            assert row["error"].startswith("AVIF, which is not read")
            continue
        assert row["error"].startswith("cannot be decoded: not an image, or in none of the formats BMP")
    errors = [row["error"] for row in rows[len(FOREIGN) + 1 : -3]]
    assert errors[1:] == [
        f"{2**40} bytes, more than the {2**29} that are read",
        "Permission denied",
        "a pipe, not a file",
    ]
    rotated, named, linked = rows[-3:]
    assert os.fsencode(named["photo"]) == good
    assert {**named, "photo": ""} == {**linked, "photo": ""}
    assert rotated["label"] == named["label"]
    assert rotated["box"] == pytest.approx(named["box"], abs=5)
    assert Image.open(figure).size[1] > 3 * 860
    assert not any(word in said for word in ("Traceback", "Warning:", "PIL", "TIFF"))


WRITTEN = {
    **{"mp4": "mp4v", "m4v": "mp4v", "mov": "mp4v", "3gp": "mp4v", "avi": "MJPG", "mkv": "mp4v", "webm": "VP80"},
    **{"wmv": "WMV2", "flv": "FLV1", "ts": "mpg2", "m2ts": "mpg2", "m2v": "mpg2", "vob": "mpg2"},
}  # endings of videos, and what they are encoded as


def film(path: Path, kind: str) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*kind), 10, (96, 96))
    assert writer.isOpened()
    for number in range(12):
        writer.write(np.full((96, 96, 3), 20 * number, np.uint8))
    writer.release()


def box(kind: bytes, content: bytes) -> bytes:
    """Of an ISO media file or QuickTime's."""
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def test_a_video_or_a_format_of_photos_that_is_not_read_is_a_row_that_says_so_and_what_to_do(elsewhere, tmp_path):
    """By its content, whatever it is called and however large it is; photos of such formats also in a folder."""
    video = "a video, not a photo; take photos from it, one a second: ffmpeg -i VIDEO -r 1 frame-%03d.png"
    unread = "{}, which is not read; save it as JPEG, for instance: magick PHOTO photo.jpg"
    heic, avif = unread.format("HEIC, in which iPhones keep photos"), unread.format("AVIF")
    other = "cannot be decoded: not an image"
    films = tmp_path / "films"
    films.mkdir()
    said = {}
    for ending, kind in WRITTEN.items():
        film(films / f"film.{ending}", kind)
        said[films / f"film.{ending}"] = video
    shutil.copy(films / "film.mp4", films / "named as a photo.jpg")
    with (films / "film.mov").open("rb+") as file:
        file.truncate(2**40)  # no more of it is read than tells what it is
    files = {
        "old.mov": (box(b"wide", b"") + box(b"mdat", bytes(90)), video),
        "iphone.HEIC": (box(b"ftyp", b"heic\0\0\0\0mif1MiPrmiafMiHBheic") + bytes(90), heic),
        "burst.heif": (box(b"ftyp", b"msf1\0\0\0\0msf1hevcmif1") + bytes(90), heic),
        "named.jpg": (box(b"ftyp", b"mif1\0\0\0\0mif1heic") + bytes(90), heic),
        "pillow.avif": (FOREIGN["AVIF"], avif),
        "other.avif": (box(b"ftyp", b"mif1\0\0\0\0mif1avif") + bytes(90), avif),
        "song.m4a": (box(b"ftyp", b"M4A \0\0\0\0mp42") + bytes(90), other),
        "picture.jpg": (b"RIFF\4\0\0\0WEBP", other),
    }
    for name, (data, what) in files.items():
        (tmp_path / name).write_bytes(data)
        said[tmp_path / name] = what
    said[films / "named as a photo.jpg"] = video
    done = predicted(elsewhere, "--json", *map(str, said))
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == "TensorFlow: False"
    answers = {row["photo"]: row["error"] for row in json.loads(done.stdout)}
    assert {name: error[: len(said[Path(name)])] for name, error in answers.items()} == {
        str(name): what for name, what in said.items()
    }
    shutil.rmtree(films)
    below = {row["photo"] for row in rows_of(predicted(elsewhere, "--csv", str(tmp_path)))}
    assert below == {str(tmp_path / name) for name in files if not name.endswith((".mov", ".m4a"))}


def test_a_folder_with_links_in_circles_is_walked_once(tmp_path):
    """By two of them glob would go 2 to the power of 40 ways."""
    (tmp_path / "photos/below").mkdir(parents=True)
    (tmp_path / "photos/.hidden").mkdir()
    for name in ("a.jpg", "below/b.JPG", "below/c.txt", ".hidden/d.jpg"):
        (tmp_path / "photos" / name).write_bytes(b"")
    for name in ("again", "and again"):
        (tmp_path / "photos" / name).symlink_to("..")
    code = "import sys; from src.predict.photos import named; print(named(sys.argv[1:], None))"
    folder = f"{tmp_path}/photos"
    arguments = [folder, f"{folder}/**/*.[jJ]*", "photos/**/b*", f"{folder}/**", f"{folder}/*.jp?", f"{folder}/a**.jpg"]
    found = []
    for argument in arguments:
        command = [sys.executable, "-c", code, argument]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment() | {"PYTHONPATH": str(HERE)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        found.append([name.removeprefix(folder) for name in eval(done.stdout)])
    assert found == [
        ["/.hidden/d.jpg", "/a.jpg", "/below/b.JPG"],
        ["/a.jpg", "/below/b.JPG"],
        ["photos/below", "photos/below/b.JPG"],
        ["/a.jpg", "/again", "/and again", "/below", "/below/b.JPG", "/below/c.txt"],
        ["/a.jpg"],
        ["/a.jpg"],
    ]


def test_a_reader_that_has_seen_enough_ends_it_quietly_and_a_full_output_with_a_line(elsewhere, photos):
    """Both with more rows than wait in memory, and with fewer."""
    for names, form, unbuffered in (
        ("\n".join(["nowhere.jpg"] * 3000), "--csv", ""),
        ("\n".join(["nowhere.jpg"] * 3000), "--json", "1"),
        ("nowhere.jpg", "--csv", ""),
    ):
        (elsewhere / "names").write_text(names)
        (elsewhere / "run").write_text(f"export PYTHONUNBUFFERED={unbuffered}\n{' '.join(PREDICT)} {form} - < names")
        script = "bash run 2> said | head -1; echo ${PIPESTATUS[0]} >> said"
        done = subprocess.run(["bash", "-c", script], cwd=elsewhere, env=environment(), capture_output=True, text=True)
        assert done.stdout in ("[\n", ",".join(HEADER) + "\n")
        said = (elsewhere / "said").read_text().splitlines()
        assert set(said[:-1]) - {f"error: {len(names.split())} of {len(names.split())} photos could not be read"} == {
            "nowhere.jpg: No such file or directory"
        }
        assert said[-1] == "1"
        script = "bash run > /dev/full 2> said; echo $? >> said"
        subprocess.run(["bash", "-c", script], cwd=elsewhere, env=environment(), check=True)
        said = (elsewhere / "said").read_text().splitlines()
        assert said[-2:] == ["error: standard output: No space left on device", "1"]
    script = "bash run >&- 2> said; echo $? >> said"
    subprocess.run(["bash", "-c", script], cwd=elsewhere, env=environment(), check=True)
    assert (elsewhere / "said").read_text() == "error: standard output is closed\n1\n"


def test_a_figure_that_cannot_be_written_ends_it_before_any_work(elsewhere, photos, tmp_path):
    """Other places are tried in test_files.py."""
    (tmp_path / "closed").mkdir(mode=0o555)
    for place, said in {
        str(tmp_path): "is no file that could be replaced",
        f"{tmp_path}/closed/new/out.png": "cannot be written: Permission denied",
    }.items():
        done = predicted(elsewhere, "--figure", place, str(photos / "1-one.png"))
        assert (done.returncode, done.stdout) == (1, b""), place
        error, tensorflow = done.stderr.decode().splitlines()
        assert error.startswith(f"error: {place} {said}"), error
        assert tensorflow == "TensorFlow: False"
