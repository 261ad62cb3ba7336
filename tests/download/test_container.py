"""Hostile and broken archives and folders: each is a real file, and is either read or refused by name."""

import io
import os
import random
import re
import signal
import stat
import struct
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml

from src import params
from src.core import raw
from src.download import local
from src.errors import UserError
from tests.conftest import without_privileges

REPOSITORY = Path(__file__).parents[2]
PARAMS = params.load(REPOSITORY / "params.yaml")
LABELS = ["happy", "sad"]


def encoded(kind: str, size: tuple[int, int] = (16, 16), seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def faces() -> dict[str, bytes]:
    members = [f"{folder}/{label}/{i}.png" for folder in ("train", "test") for label in LABELS for i in range(2)]
    return {member: encoded("PNG", seed=seed) for seed, member in enumerate(members)}


def zip_of(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, data in files.items():
            info = zipfile.ZipInfo("placeholder")
            info.filename, info.compress_type = name, method  # as it is: the constructor would clean it
            opened.writestr(info, data)
    return path


def folder_of(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def members(path: Path, labels: list[str] = LABELS, layout: dict | None = None, **limits: int) -> dict[str, bytes]:
    how, bounds = PARAMS.layout.model_copy(update=layout or {}), PARAMS.limits.model_copy(update=limits)
    return {image.member: image.read() for image in local.images(str(path), None, labels, how, bounds)}


@pytest.fixture(params=["zip", "folder"])
def stored(request, tmp_path):
    """Puts files into a zip or into a folder, and gives its path."""
    make = zip_of if request.param == "zip" else folder_of
    return lambda files: make(tmp_path / f"faces.{request.param}", files)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.png",
        "train/happy/../../../outside.png",
        "train/happy/..",
        ".hidden/../../outside.png",
        "/etc/train/happy/0.png",
        "//server/share/train/happy/0.png",
        "train//happy/0.png",
        "train/./happy/0.png",
        "C:\\train\\happy\\0.png",
        "train\\happy\\0.png",
        "train/happy/..\\..\\0.png",
        "__MACOSX/../../outside.png",
        "/Thumbs.db",
        ".hidden\\..\\..\\outside.png",
    ],
)
def test_a_member_whose_name_leads_elsewhere_is_refused(tmp_path, name):
    path = zip_of(tmp_path / "faces.zip", faces() | {name: encoded("PNG")})
    with pytest.raises(UserError) as raised:
        members(path)
    assert repr(name) in str(raised.value)


@pytest.mark.parametrize("target", ["../../../etc/passwd", "/etc/passwd", "0.png"])
def test_a_link_in_a_zip_is_refused(tmp_path, target):
    path = zip_of(tmp_path / "faces.zip", faces())
    with zipfile.ZipFile(path, "a") as opened:
        link = zipfile.ZipInfo("train/happy/link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, target)
    with pytest.raises(UserError, match=r"train/happy/link\.png is a link"):
        members(path)


def test_a_link_in_a_folder_that_leads_outside_is_refused(tmp_path):
    path = folder_of(tmp_path / "faces", faces())
    (tmp_path / "secret.png").write_bytes(encoded("PNG"))
    (path / "train/happy/link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(UserError, match=r"train/happy/link\.png is a link to .*secret\.png"):
        members(path)


@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_that_is_a_link_is_refused_not_passed_over(tmp_path, inside):
    path = folder_of(tmp_path / "faces", faces())
    other = path / "test/happy" if inside else folder_of(tmp_path / "more", {"a.png": encoded("PNG")})
    (path / "train/happy/more").symlink_to(other)
    with pytest.raises(UserError, match=r"train/happy/more is a link"):
        members(path)


def test_a_link_to_a_file_of_the_same_folder_is_that_file(tmp_path):
    path = folder_of(tmp_path / "faces", faces())
    (path / "train/happy/again.png").symlink_to("0.png")
    assert members(path) == faces() | {"train/happy/again.png": faces()["train/happy/0.png"]}


@pytest.mark.parametrize("what", ["a broken link", "a link to itself", "a pipe"])
def test_what_is_no_file_is_named_not_passed_over(tmp_path, what):
    path = folder_of(tmp_path / "faces", faces())
    strange = path / "train/happy/strange.png"
    if what == "a pipe":
        os.mkfifo(strange)
    else:
        strange.symlink_to("nowhere.png" if what == "a broken link" else "strange.png")
    with pytest.raises(UserError, match=r"train/happy/strange\.png is not a file that can be read"):
        members(path)


def test_the_path_itself_may_be_a_link(tmp_path):
    (tmp_path / "link").symlink_to(folder_of(tmp_path / "faces", faces()))
    assert members(tmp_path / "link") == faces()


def test_a_file_larger_than_allowed_is_named(stored):
    path = stored(faces() | {"train/sad/large.png": bytes(100_001)})
    with pytest.raises(UserError, match=r"train/sad/large\.png has 100001 bytes, but limits\.member_bytes = 100000"):
        members(path, member_bytes=100_000)
    assert len(members(path, member_bytes=100_001)) == 9


def test_more_in_all_than_allowed_is_refused(stored):
    files = faces()
    total = sum(map(len, files.values()))
    with pytest.raises(UserError, match=rf"holds {total} bytes, but limits\.total_bytes = {total - 1}"):
        members(stored(files), total_bytes=total - 1)
    assert members(stored(files), total_bytes=total) == files


def test_a_member_that_unpacks_to_more_than_it_says_is_refused_without_unpacking_it(tmp_path):
    """2 GB of zeros that claim to be 1,000 bytes, in an address space of 1.5 GB."""
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = bomb.compress(bytes(2**24)) + bomb.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before it
    packed = block * 128 + bomb.flush()
    path = zip_of(tmp_path / "faces.zip", faces() | {"train/happy/bomb.png": packed}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for signature, method, size, name in ((b"PK\3\4", 8, 22, 30), (b"PK\1\2", 10, 24, 46)):
        start = data.find(signature)
        while data[start + name : start + name + 20] != b"train/happy/bomb.png":
            start = data.find(signature, start + 4)
        struct.pack_into("<H", data, start + method, zipfile.ZIP_DEFLATED)
        struct.pack_into("<I", data, start + size, 1000)
    path.write_bytes(data)
    code = (
        "import resource, sys; from tests.download.test_container import *\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 * 2**29, 3 * 2**29))\n"
        "try: members(Path(sys.argv[1]))\n"
        "except UserError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=REPOSITORY, capture_output=True, text=True)
    assert "train/happy/bomb.png cannot be read: Bad CRC" in done.stdout, done.stderr


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_unpacks_whole_blocks_at_once_is_refused(tmp_path, method):
    with pytest.raises(UserError, match=rf"0\.png cannot be read: it is compressed with method {method}"):
        members(zip_of(tmp_path / "faces.zip", faces(), method))


@pytest.mark.parametrize("size", [(1001, 1000), (10_000_000, 1), (60_000, 60_000)])
def test_an_image_with_more_pixels_than_allowed_is_named_before_anything_decodes_it(stored, size):
    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    small = encoded("PNG")
    large = small[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + small[33:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
        with pytest.raises(UserError, match=r"train/sad/large\.png.* pixels.* limits\.image_pixels = 1000000"):
            members(stored(faces() | {"train/sad/large.png": large}), image_pixels=1_000_000)


def test_an_image_with_just_the_allowed_pixels_is_taken(stored):
    files = faces() | {"train/sad/large.png": encoded("PNG", (1000, 1000))}
    assert members(stored(files), image_pixels=1_000_000) == files


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_an_image_under_a_wrong_extension_is_what_its_bytes_say(stored, kind):
    """As in Keras: Pillow looks at the bytes."""
    files = faces() | {"train/sad/other.png": encoded(kind)}
    assert members(stored(files)) == files


@pytest.mark.parametrize("kind", ["EPS", "ICO", "PCX"])
def test_a_format_that_is_no_photo_passes_as_bytes_that_are_no_image(stored, kind):
    """Also with more pixels than are allowed: nothing reads them. preprocess names it with all that is no image."""
    files = faces() | {"train/sad/other.png": encoded(kind, (32, 32))}
    assert members(stored(files), image_pixels=300) == files


def test_two_members_of_one_name_are_refused(tmp_path):
    path = zip_of(tmp_path / "faces.zip", faces())
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as opened:
        warnings.simplefilter("ignore", UserWarning)
        opened.writestr("train/happy/0.png", encoded("PNG", seed=99))
    with pytest.raises(UserError, match=r"two images are both named train/happy/0\.png"):
        raw.write(tmp_path / "a.zip", local.images(str(path), None, LABELS, PARAMS.layout, PARAMS.limits))


def test_two_files_that_differ_only_in_the_spelling_of_their_label_are_refused(tmp_path):
    path = zip_of(tmp_path / "faces.zip", faces() | {"train/HAPPINESS/0.png": encoded("PNG", seed=99)})
    with pytest.raises(UserError, match=r"two images are both named train/happy/0\.png"):
        raw.write(tmp_path / "a.zip", local.images(str(path), None, LABELS, PARAMS.layout, PARAMS.limits))


NAMES = ["وجه سعيد", "笑脸", "😀", "u\u0308ber", "über", "नाम", 'a "b", c', "-rf", "%s{0}", "x" * 200]


def test_names_in_any_script_arrive_as_they_are(stored, tmp_path):
    """`ü` in one and in two code points are two names, as in the zip or folder."""
    files = faces() | {f"train/happy/{name}.png": encoded("PNG", seed=seed) for seed, name in enumerate(NAMES)}
    path = stored(files)
    assert members(path) == files
    raw.write(tmp_path / "a.zip", local.images(str(path), None, LABELS, PARAMS.layout, PARAMS.limits))
    with zipfile.ZipFile(tmp_path / "a.zip") as written:
        assert {name: written.read(name) for name in written.namelist()} == files


@pytest.mark.parametrize(("found", "own"), [("u\u0308berrascht", "überrascht"), ("Überrascht", "u\u0308berrascht")])
def test_a_label_is_the_same_composed_and_decomposed(stored, found, own):
    files = {f"{folder}/{label}/0.png": encoded("PNG") for folder in ("train", "test") for label in (found, "悲しい")}
    assert {name.split("/")[1] for name in members(stored(files), [own, "悲しい"])} == {own, "悲しい"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"line\nfeed.png", r"line\nfeed.png"),
        (b"return\r.png", r"return\r.png"),
        (b"\x1b]0;title\x07.png", r"\x1b]0;title\x07.png"),
        ("\x9b31m.png".encode(), r"\x9b31m.png"),
        ("\u202egnp.exe.png".encode(), r"\u202egnp.exe.png"),
        (b"\xe4.png", r"\xe4.png"),
    ],
)
def test_a_name_that_cannot_be_shown_is_refused_as_it_can_be(tmp_path, name, said):
    path = folder_of(tmp_path / "faces", faces())
    Path(os.fsdecode(os.fsencode(path) + b"/train/happy/" + name)).write_bytes(encoded("PNG"))
    with pytest.raises(UserError) as raised:
        members(path)
    assert f"'train/happy/{said}' is not a name of characters that can be seen; rename it" in str(raised.value)
    assert str(raised.value).isprintable()
    if said != r"\xe4.png":  # zipfile takes such bytes for characters of an old code page
        with pytest.raises(UserError, match=re.escape(said)):
            members(zip_of(tmp_path / "faces.zip", faces() | {f"train/happy/{name.decode()}": encoded("PNG")}))


LITTER = [
    *("Thumbs.db", "thumbs.db", "THUMBS.DB", "ehthumbs.db", "desktop.ini", "Desktop.ini", "DESKTOP.INI", "Icon\r"),
    *(".DS_Store", "._0.png", "__MACOSX/._0.png", "__macosx/train/happy/._0.png", "@eaDir/0.png/SYNOFILE_THUMB_M.png"),
    *("@eadir/x.png", "$RECYCLE.BIN/S-1-5-21/$I0.png", "$Recycle.Bin/a.png", ".AppleDouble/0.png"),
    *("System Volume Information/IndexerVolumeGuid", "System Volume Information/a\nb.png", ".Trash-1000/x\x1b.png"),
]


@pytest.mark.parametrize("place", ["", "train/happy/"])
def test_what_systems_leave_behind_is_passed_over_whatever_its_name(stored, place):
    path = stored(faces() | {place + name: b"left" for name in LITTER})
    assert members(path) == faces()


def test_what_systems_leave_behind_in_a_zip_may_have_a_name_that_is_refused_elsewhere(tmp_path):
    odd = dict.fromkeys(("__MACOSX/train\\._0.png", "@eaDir//0.png", "Icon\r"), b"left")
    assert members(zip_of(tmp_path / "faces.zip", faces() | odd)) == faces()


def test_a_folder_that_a_system_keeps_to_itself_is_not_even_looked_into(tmp_path):
    path = folder_of(tmp_path / "faces", faces() | {"System Volume Information/tracking.log": b""})
    (path / "System Volume Information").chmod(0)
    code = "import sys; from tests.download.test_container import *\nassert members(Path(sys.argv[1])) == faces()"
    command = [sys.executable, "-c", code, path]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, preexec_fn=without_privileges)
    (path / "System Volume Information").chmod(0o755)
    assert done.returncode == 0, done.stderr


def test_folders_and_labels_of_others_are_filed_under_ours(stored):
    theirs = {
        name.replace("train/", "fer/Training/").replace("test/", "fer/u\u0308/").replace("sad", "blue"): data
        for name, data in faces().items()
    }
    mapped = {"train": "fer/Training", "test": "fer/ü", "labels": {"Blue": "Sadness"}}
    assert members(stored(theirs), layout=mapped) == faces()


@pytest.mark.parametrize("written", ["a/train", "a/train/", "./a/train", "a//train/./"])
def test_a_folder_may_be_written_as_a_shell_completes_it(stored, written):
    files = {f"a/{name}" if name.startswith("train") else name: data for name, data in faces().items()}
    assert members(stored(files), layout={"train": written}) == faces()
    with pytest.raises(UserError, match=r"has no image in test/angry, a/train/angry$"):
        members(stored(files), [*LABELS, "angry"], layout={"train": written})


def test_files_outside_the_two_folders_are_left_out_only_on_request(stored, capsys):
    path = stored(faces() | {"README.md": b"read me", "validation/happy/0.png": encoded("PNG")})
    with pytest.raises(UserError, match=r"2 files do not fit .* first 'README\.md'"):
        members(path)
    assert members(path, layout={"skip_others": True}) == faces()
    assert "2 files outside train and test are left out" in capsys.readouterr().out


def test_a_strange_file_inside_the_two_folders_is_never_left_out(stored):
    with pytest.raises(UserError, match=r"1 files do not fit .* first 'train/happy/notes\.txt'"):
        members(stored(faces() | {"train/happy/notes.txt": b"notes"}), layout={"skip_others": True})


def test_a_spelling_of_no_label_is_named(stored):
    with pytest.raises(UserError, match=r"layout\.labels: 'smug' is not a label of this dataset"):
        members(stored(faces()), layout={"labels": {"proud": "smug"}})


def test_a_label_without_images_is_named_as_the_user_names_it(stored):
    files = {f"a/{name}": data for name, data in faces().items() if not name.startswith("test/sad")}
    with pytest.raises(UserError, match=r"has no image in a/test/sad$"):
        members(stored(files), layout={"train": "a/train", "test": "a/test"})


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_random_damage_is_refused_or_read_never_a_crash(tmp_path, method):
    """Much of it in the headers, where a name becomes empty or that of a folder, or a length too large."""
    whole = zip_of(tmp_path / "faces.zip", faces(), method).read_bytes()
    headers = [place for kind in (b"PK\1\2", b"PK\3\4", b"PK\5\6") for place in places(whole, kind)]
    changes = random.Random(1)
    refused = 0
    for number in range(1000):
        damaged = bytearray(whole)
        for _ in range(changes.randint(1, 8)):
            place = changes.choice(headers) + changes.randrange(46) if number % 2 else changes.randrange(len(whole))
            damaged[min(place, len(whole) - 1)] = changes.choice((0, 255, changes.randrange(256)))
        path = tmp_path / "damaged.zip"
        path.write_bytes(damaged if number % 7 else damaged[: changes.randrange(len(damaged))])
        try:
            members(path)
        except UserError as error:
            assert str(error).isprintable()
            refused += 1
    assert refused > 700


def places(data: bytes, part: bytes) -> list[int]:
    return [found.start() for found in re.finditer(re.escape(part), data)]


def test_a_member_without_a_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="'' is not a plain relative name"):
        members(zip_of(tmp_path / "faces.zip", faces() | {"": encoded("PNG")}))


def test_a_file_with_the_name_of_a_folder_is_a_stray_file(stored):
    layout = {"train": "a/train", "test": "a/test"}
    files = {f"a/{name}": data for name, data in faces().items() if not name.startswith("train")}
    with pytest.raises(UserError, match=r"1 files do not fit .* first 'a/train'"):
        members(stored(files | {"a/train": b"a file"}), layout=layout)


def test_an_import_killed_in_the_middle_leaves_nothing_a_rerun_takes_for_good(tmp_path):
    """The whole stage, as `dvc repro` starts it, in a folder of its own."""
    labels = PARAMS.datasets["ai"].labels
    names = [f"{folder}/{label}/{i}.png" for folder in ("train", "test") for label in labels for i in range(300)]
    zip_of(tmp_path / "faces.zip", {name: encoded("PNG", seed=seed) for seed, name in enumerate(names)})
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    values |= {"source": "local", "local_path": "faces.zip"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    for name in ("src", "dvc.yaml", "libraries.yaml"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    environment = {name: value for name, value in os.environ.items() if name != "DVC_ROOT"}
    command, data = [sys.executable, "-m", "src.download"], tmp_path / "data"
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=-1)
    while process.poll() is None and not (data / ".raw.part.zip").exists():
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [path.name for path in data.iterdir()] == [".raw.part.zip"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert sorted(path.name for path in data.iterdir()) == ["raw.zip", "votes.csv"]
    with zipfile.ZipFile(data / "raw.zip") as written:
        assert written.namelist() == sorted(names)
        assert written.testzip() is None
