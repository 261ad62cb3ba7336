"""Kaggle's own client against a server on this machine that speaks the part of Kaggle's API which the client uses.

The client is pointed there as its own developers do: KAGGLE_API_ENVIRONMENT=LOCALHOST makes it ask http://localhost,
and a proxy setting brings that to the server's port.
"""

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml

from src import params
from src.download import kaggle
from src.errors import UserError

REPOSITORY = Path(__file__).parents[2]
PARAMS = params.load(REPOSITORY / "params.yaml")
LABELS = ["happy", "sad"]
CHUNK = 2**20  # bytes; what the client has when the connection breaks it keeps in such pieces


@cache
def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (400, 400), dtype=np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def faces(folders: tuple[str, str] = ("train", "test"), labels: list[str] = LABELS) -> dict[str, bytes]:
    names = [f"{folder}/{label}/{i}.png" for folder in folders for label in labels for i in range(3)]
    return {name: png(seed) for seed, name in enumerate(names)}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


class Kaggle(ThreadingHTTPServer):
    """Datasets by handle and version, and what shall go wrong."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.datasets: dict[tuple[str, int], bytes] = {}
        self.status: int | None = None  # answers everything with it
        self.break_after: int | None = None  # ends the connection after so many bytes
        self.stall = False  # ... and in place of ending it, waits
        self.damage = False  # sends other bytes than it gives the hash of
        self.hashes = True
        self.asked: list[str] = []  # "<last part of the path> <Range>"
        self.authorized: list[str | None] = []
        self.released = threading.Event()

    def offer(self, files: dict[str, bytes], handle: str = "msambare/fer2013", version: int = 1) -> bytes:
        self.datasets[handle, version] = zipped(files)
        return self.datasets[handle, version]


class Handler(BaseHTTPRequestHandler):
    server: Kaggle
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = self.path.rsplit("/", 1)[-1]
        self.server.asked.append(call)
        self.server.authorized.append(self.headers["Authorization"])
        handle = f"{request['ownerSlug']}/{request['datasetSlug']}"
        versions = [version for name, version in self.server.datasets if name == handle]
        if self.server.status:
            self.answer(self.server.status, {"code": self.server.status, "message": "no"})
        elif not versions or request.get("datasetVersionNumber", versions[0]) not in versions:
            self.answer(404, {"code": 404, "message": "Not found"})
        elif call == "GetDataset":
            self.answer(200, {"currentVersionNumber": max(versions)})
        else:
            self.send_response(302)
            self.send_header("Location", f"http://storage/{handle}/{request['datasetVersionNumber']}")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def answer(self, status: int, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """The storage that the API redirects to."""
        server = self.server
        handle, version = self.path.removeprefix("http://storage/").rsplit("/", 1)
        data = server.datasets[handle, int(version)]
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        server.asked.append(f"archive {self.headers.get('Range')}")
        self.send_response(206 if start else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(len(data) - start))
        if server.hashes:
            md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
            self.send_header("x-goog-hash", f"crc32c=AAAAAA==,md5={md5}")
        self.end_headers()
        if server.damage:
            data = data[:500] + bytes([data[500] ^ 1]) + data[501:]
        self.close_connection = True
        try:
            self.wfile.write(data[start : server.break_after])
            if server.stall:
                self.wfile.flush()
                server.released.wait(60)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Kaggle]:
    """The server, and an environment in which the client finds it, an empty cache and nobody's credentials."""
    with Kaggle() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "NO_PROXY", "no_proxy", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{running.server_port}")
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
        monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "config"))
        monkeypatch.setenv("KAGGLEHUB_VERBOSITY", "error")  # its log would outlive the stdout that pytest gives it
        monkeypatch.setenv("HOME", str(tmp_path))
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


def fetched(handle: str = "msambare/fer2013", **layout) -> dict[str, bytes]:
    how = PARAMS.layout.model_copy(update=layout)
    return {image.member: image.read() for image in kaggle.images("kaggle.ai", handle, LABELS, how, PARAMS.limits)}


def cached(tmp_path: Path) -> list[str]:
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]
    return sorted(path.relative_to(tmp_path / "cache" / "datasets").as_posix() for path in files)


def test_a_dataset_is_fetched_once_without_an_account(server, capsys):
    server.offer(faces())
    assert fetched() == faces()
    assert server.asked == ["GetDataset", "DownloadDataset", "archive None"]
    assert set(server.authorized) == {None}
    assert "To stay with it: -S kaggle.ai=msambare/fer2013/versions/1" in capsys.readouterr().out
    assert fetched() == faces()
    assert server.asked[3:] == ["GetDataset"], "only asked whether there is a newer version"


def test_the_newest_version_is_taken_unless_the_handle_names_one(server):
    server.offer(faces(), version=1)
    newer = {name: data + b"\0" for name, data in faces().items()}
    server.offer(newer, version=2)
    assert fetched() == newer
    assert fetched("msambare/fer2013/versions/1") == faces()


def test_a_version_once_fetched_needs_no_connection(server, capsys):
    server.offer(faces())
    fetched("msambare/fer2013/versions/1")
    assert "To stay with it" not in capsys.readouterr().out
    server.status = 500
    asked = list(server.asked)
    assert fetched("msambare/fer2013/versions/1") == faces()
    assert server.asked == asked


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    data = server.offer(faces())
    server.break_after = CHUNK + 1000
    with pytest.raises(UserError, match=r"(?s)kaggle\.ai: msambare/fer2013: .* the connection broke.*same command"):
        fetched()
    (archive,) = (tmp_path / "cache").rglob("*.archive")
    assert archive.read_bytes() == data[:CHUNK]
    server.break_after = None
    assert fetched() == faces()
    assert server.asked[-1] == f"archive bytes={CHUNK}-"
    assert list((tmp_path / "cache").rglob("*.archive")) == []


def test_bytes_that_do_not_fit_their_hash_are_refused_and_removed(server, tmp_path):
    server.offer(faces())
    server.damage = True
    with pytest.raises(UserError, match="is not what Kaggle sent, and has been removed"):
        fetched()
    assert cached(tmp_path) == []
    server.damage = False
    assert fetched() == faces()


def test_a_resumed_download_whose_beginning_was_damaged_is_refused_and_removed(server, tmp_path):
    data = server.offer(faces())
    server.break_after = CHUNK + 1000
    with pytest.raises(UserError):
        fetched()
    (archive,) = (tmp_path / "cache").rglob("*.archive")
    archive.write_bytes(bytes(100) + data[100:CHUNK])
    server.break_after = None
    with pytest.raises(UserError, match="has been removed"):
        fetched()
    assert cached(tmp_path) == []
    assert fetched() == faces()


@pytest.mark.parametrize("what", ["no archive", "a damaged one without a hash"])
def test_what_cannot_be_unpacked_is_removed(server, tmp_path, what):
    """kagglehub would keep it, and say `already complete` in every later run."""
    server.offer(faces())
    server.hashes = False
    if what == "no archive":
        server.datasets["msambare/fer2013", 1] = b"<html>" * 1000
    else:
        server.damage = True
    with pytest.raises(UserError, match="cannot be unpacked, and has been removed"):
        fetched()
    assert not [name for name in cached(tmp_path) if name.endswith((".archive", ".complete"))]
    server.offer(faces())
    server.damage = False
    assert fetched() == faces()


@pytest.mark.parametrize(
    ("field", "value"),  # in the header of every member, and two bytes later in the directory
    [pytest.param(6, 1, id="encrypted"), pytest.param(8, 99, id="of an unknown method")],
)
def test_a_zip_of_a_kind_python_cannot_unpack_is_removed(server, tmp_path, field, value):
    server.offer(faces())
    server.hashes = False
    data = bytearray(server.datasets["msambare/fer2013", 1])
    for signature, offset in ((b"PK\3\4", field), (b"PK\1\2", field + 2)):
        start = data.find(signature)
        while start >= 0:
            data[start + offset : start + offset + 2] = value.to_bytes(2, "little")
            start = data.find(signature, start + 4)
    server.datasets["msambare/fer2013", 1] = bytes(data)
    with pytest.raises(UserError, match="cannot be unpacked, and has been removed"):
        fetched()
    assert not [name for name in cached(tmp_path) if name.endswith((".archive", ".complete"))]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_says_where_credentials_go(server, tmp_path, status):
    server.offer(faces())
    server.status = status
    with pytest.raises(UserError) as raised:
        fetched()
    assert str(raised.value).startswith(f"kaggle.ai: msambare/fer2013: Kaggle refused ({status})")
    assert "KAGGLE_API_TOKEN" in str(raised.value)
    assert cached(tmp_path) == []


def test_a_token_is_taken_from_where_kagglehub_looks_for_it(server, monkeypatch):
    server.offer(faces())
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    fetched()
    assert set(server.authorized) == {"Bearer secret"}


def test_a_broken_credentials_file_is_named(server, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "kaggle.json").write_text("{")
    with pytest.raises(UserError, match=r"Invalid Kaggle credentials file at .*kaggle\.json"):
        fetched()


def test_what_the_client_says_is_one_line_that_can_be_shown(server, tmp_path, monkeypatch):
    """It quotes paths."""
    folder = tmp_path / "a\nerror: forged\x1b[2J"
    folder.mkdir()
    (folder / "kaggle.json").write_text("{")
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(folder))
    with pytest.raises(UserError, match="Invalid Kaggle credentials file") as raised:
        fetched()
    assert r"a\nerror: forged\x1b[2J/kaggle.json" in str(raised.value)
    assert str(raised.value).isprintable()
    monkeypatch.delenv("KAGGLE_CONFIG_DIR")
    (folder / "cache").write_text("a file")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(folder / "cache"))
    with pytest.raises(UserError, match="cannot be written") as raised:
        fetched()
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("handle", ["msambare/nothing", "msambare/fer2013/versions/9"])
def test_an_unknown_dataset_or_version_is_named(server, tmp_path, handle):
    server.offer(faces())
    with pytest.raises(UserError, match=f"kaggle.ai: {handle}: Kaggle has no such dataset"):
        fetched(handle)
    assert cached(tmp_path) == []


def test_another_failure_of_kaggles_is_told_with_its_status(server):
    server.status = 503
    with pytest.raises(UserError, match="status 503"):
        fetched()


def test_without_a_connection_the_ways_out_are_named(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(UserError) as raised:
        fetched()
    for way in ("cannot be reached", "-S source=local", "msambare/fer2013/versions/1"):
        assert way in str(raised.value)


def test_a_cache_that_cannot_be_written_is_named(server, tmp_path):
    server.offer(faces())
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"cache/datasets/msambare/fer2013 cannot be written"):
        fetched()


def test_folders_and_labels_of_others_are_filed_under_ours(server):
    theirs = faces(("images/training", "images/validation"), ["joy", "Sadness"])
    server.offer(theirs | {"README.md": b"read me", "images/images/training/joy/0.png": png(0)})
    mapped = {"train": "images/training", "test": "images/validation", "labels": {"Joy": "happy"}}
    with pytest.raises(UserError, match=r"2 files do not fit images/training/<label>/<image>"):
        fetched(**mapped)
    assert fetched(**mapped, skip_others=True) == faces()


def test_two_at_once_fetch_it_once(server):
    server.offer(faces())
    server.break_after, server.stall = CHUNK + 1000, True
    with ThreadPoolExecutor() as pool:
        first = pool.submit(fetched, "msambare/fer2013/versions/1")
        while "archive None" not in server.asked:
            time.sleep(0.01)
        second = pool.submit(fetched, "msambare/fer2013/versions/1")
        time.sleep(0.1)
        assert server.asked.count("DownloadDataset") == 1, "the second waits"
        server.break_after, server.stall = None, False
        server.released.set()
        assert isinstance(first.exception(), UserError), "its connection broke"
        assert second.result() == faces()
    assert server.asked[-1] == f"archive bytes={CHUNK}-"


def test_a_stage_killed_in_the_middle_goes_on_in_the_next_run(server, tmp_path):
    """The whole stage, as `dvc repro` starts it, in a folder of its own."""
    data = server.offer(faces(labels=list(PARAMS.datasets["ai"].labels)))
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text()) | {"source": "kaggle"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    for name in ("src", "dvc.yaml", "libraries.yaml"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    environment = {name: value for name, value in os.environ.items() if name != "DVC_ROOT"}
    command = [sys.executable, "-m", "src.download"]
    server.break_after, server.stall = CHUNK + 1000, True
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while process.poll() is None and not any(path.stat().st_size for path in tmp_path.rglob("*.archive")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[0].decode()
    assert process.returncode == -signal.SIGKILL, said
    assert not (tmp_path / "data").exists()
    (archive,) = tmp_path.rglob("*.archive")
    kept = archive.stat().st_size
    assert 0 < kept < len(data)
    server.break_after, server.stall = None, False
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert server.asked[-1] == f"archive bytes={kept}-"
    with zipfile.ZipFile(tmp_path / "data" / "raw.zip") as written:
        assert {name: written.read(name) for name in written.namelist()} == faces(
            labels=list(PARAMS.datasets["ai"].labels)
        )


def test_kagglehub_is_not_imported_where_it_is_not_needed():
    code = "import src.download.__main__, sys; assert 'kagglehub' not in sys.modules and 'requests' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
