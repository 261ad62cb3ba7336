"""The model that MLflow holds, as its users take it: loaded anywhere, and served."""

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import HERE, Clone, environment
from tests.core.test_images import FOREIGN, POSTSCRIPT, enlarged

FIELDS = ["photo", "face", "box", "roll", "label", "probability", "probabilities", "error"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Drawn faces: one, two, and none."""
    folder = tmp_path_factory.mktemp("photos")
    sheet = Image.open(HERE / "docs/images/faces_416.png").convert("RGB")
    sheet.crop((1005, 258, 1205, 458)).save(folder / "1-one.png")
    sheet.crop((790, 258, 1205, 458)).save(folder / "2-two.png")
    Image.new("L", (120, 90), 128).save(folder / "3-none.png")
    return folder


@pytest.fixture(scope="module")
def told(reproduced: Clone, photos) -> dict[str, list[dict]]:
    """What `python -m src.predict --json` says, by what is passed with it; the photos by their position."""
    names = [str(path) for path in sorted(photos.iterdir())]
    rows = {}
    for options in ("", "--cropped"):
        done = reproduced.run("python", "-m", "src.predict", "--json", *options.split(), *names)
        rows[options] = [row | {"photo": str(names.index(row["photo"]))} for row in json.loads(done.stdout)]
    return rows


@pytest.fixture(scope="module")
def champion(reproduced: Clone, tmp_path_factory) -> Path:
    """A folder with MLflow's database and artifacts, and a champion among them; nothing is left of the repository."""
    copy = Clone(tmp_path_factory.mktemp("models") / "repository")
    shutil.copytree(reproduced.path, copy.path)
    assert copy.run("python", "-m", "src.champion").stdout.startswith("face-emotions version 1 is the champion")
    for path in copy.path.iterdir():
        if path.name not in ("mlflow.db", "mlruns"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return copy.path


def outside(folder: Path) -> dict[str, str]:
    """The environment of a process that knows nothing of this repository."""
    return environment() | {"PYTHONPATH": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true", "MPLBACKEND": "svg"}


ELSEWHERE = """
import json, os, sys
from pathlib import Path
import src  # somebody's own, as half of all projects have one
import mlflow
before = dict(os.environ)
if sys.argv[2:]:
    import tensorflow as tf
    tf.zeros(3) + 1  # TensorFlow has begun: its threads can no longer be chosen
model = mlflow.pyfunc.load_model("models:/face-emotions@champion")
import base64, io
import numpy as np, pandas as pd
from PIL import Image
paths = sorted(Path(sys.argv[1]).iterdir())
contents = [path.read_bytes() for path in paths]
texts = [base64.b64encode(content).decode() for content in contents]
arrays = [np.asarray(Image.open(path)) for path in paths]
example, params = model.input_example, None
if isinstance(example, tuple):
    example, params = example
answers = {
    "bytes": model.predict(contents),
    "base64": model.predict([text[:76] + "\\n" + text[76:] for text in texts]),
    "paths": model.predict(paths),
    "arrays": model.predict(arrays),
    "lists": model.predict([array.tolist() for array in arrays]),
    "table": model.predict(pd.DataFrame({"any": contents})),
    "one": model.predict(contents[0]),
    "stack": model.predict(np.stack([arrays[0], arrays[0]])),
    "cropped": model.predict(contents, params={"cropped": True}),
    "example": model.predict(example, params=params),
    "nothing": model.predict([]),
}
changed = {name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)}
changed -= {"_MLFLOW_TELEMETRY_SESSION_ID"}
own = sorted(name for name in sys.modules if name == "src" or name.startswith("src."))
print(json.dumps({"answers": answers, "changed": sorted(changed), "own": own, "file": src.__file__}))
"""


def elsewhere(champion: Path, photos: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    (folder / "src").mkdir()
    (folder / "src/__init__.py").write_text("")
    command = [sys.executable, "-c", ELSEWHERE, str(photos), *arguments]
    env = outside(folder) | {"MLFLOW_TRACKING_URI": f"sqlite:///{champion}/mlflow.db"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return done


@pytest.mark.slow
def test_without_the_repository_it_answers_as_predict_does_to_the_digit(champion, photos, told, tmp_path):
    """In a process that has another package `src`, and another plan for Matplotlib."""
    found = json.loads(elsewhere(champion, photos, tmp_path).stdout.splitlines()[-1])
    answers, expected = found["answers"], told[""]
    assert [list(row) for row in expected] == [FIELDS] * 4
    for kind in ("bytes", "base64", "arrays", "lists", "table"):
        assert answers[kind] == expected, kind
    names = [str(path) for path in sorted(photos.iterdir())]
    assert answers["paths"] == [row | {"photo": names[int(row["photo"])]} for row in expected]
    assert answers["one"] == expected[:1]
    assert answers["stack"] == [expected[0], expected[0] | {"photo": "1"}]
    assert answers["cropped"] == told["--cropped"]
    assert [row["error"] for row in answers["example"]] == [None]
    assert answers["nothing"] == []
    assert found["changed"] == []
    assert found["own"] == ["src"]
    assert found["file"] == f"{tmp_path}/src/__init__.py"


@pytest.mark.slow
def test_where_tensorflow_was_in_use_before_it_says_so_and_answers(champion, photos, told, tmp_path):
    done = elsewhere(champion, photos, tmp_path, "begun")
    assert "probabilities may differ in their last digits, as TensorFlow was in use before" in done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])["answers"]["bytes"]
    assert [(row["photo"], row["label"], row["error"]) for row in rows] == [
        (row["photo"], row["label"], row["error"]) for row in told[""]
    ]
    for row, expected in zip(rows, told[""], strict=True):
        if expected["probability"]:
            assert row["probability"] == pytest.approx(expected["probability"], abs=1e-3)


@pytest.fixture(scope="module")
def server(champion) -> Iterator[str]:
    """`mlflow models serve`, as docs/serving.md has it, in a folder of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["mlflow", "models", "serve", "-m", "models:/face-emotions@champion", "--env-manager", "local"]
    process = subprocess.Popen(
        [*command, "-p", str(port)], cwd=champion, env=outside(champion), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None
            try:
                urllib.request.urlopen(f"{address}/ping")
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def posted(server: str, body: object, kind: str = "application/json") -> tuple[int, str]:
    """Status and text of the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{server}/invocations", data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as reply:
        return reply.code, reply.read().decode()


def rows(server: str, photos: list, **params) -> list[dict]:
    status, text = posted(server, {"inputs": photos, "params": params})
    assert status == 200, text
    return json.loads(text, parse_constant=pytest.fail)["predictions"]  # NaN is no JSON


def in_base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


@pytest.mark.slow
def test_over_http_it_answers_as_predict_does_to_the_digit_one_by_one_and_ten_at_once(server, photos, told):
    texts = [in_base64(path) for path in sorted(photos.iterdir())]
    assert rows(server, texts) == told[""]
    assert rows(server, texts, cropped=True) == told["--cropped"]
    assert rows(server, texts, cropped=False) == told[""]
    pixels = [np.asarray(Image.open(path)).tolist() for path in sorted(photos.iterdir())]
    assert rows(server, pixels) == told[""]
    with ThreadPoolExecutor(10) as clients:
        for answer in clients.map(lambda number: rows(server, texts, cropped=number % 2 == 1), range(10)):
            assert answer in (told[""], told["--cropped"])
        answers = list(clients.map(lambda text: rows(server, [text]), texts * 4))
    for number, answer in enumerate(answers):
        expected = [row | {"photo": "0"} for row in told[""] if row["photo"] == str(number % 3)]
        assert answer == expected


def image(mode: str, size: tuple[int, int], kind: str, **how) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **how)
    return file.getvalue()


def noise(size: int) -> bytes:
    """A photo of which half is missing."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (size, size, 3), np.uint8)).save(file, "JPEG")
    return file.getvalue()[: len(file.getvalue()) // 2]


NO_PHOTOS = {  # (what is sent, what its row says)
    "empty text": ("", "cannot be decoded: not an image"),
    "no base64": ("no base64 at all!", "a text that is not base64"),
    "half of a base64 group": ("QUJDR", "a text that is not base64"),
    "a path of the server's": ("/etc/passwd", "a text that is not base64|not an image"),
    "a path that is base64": ("etc/host", "not an image"),
    "an address": ("http://localhost/photo.png", "a text that is not base64"),
    "accents": ("Grüße", "a text that is not base64"),
    "a lone surrogate": ("\ud800", "a text that is not base64"),
    "text": (base64.b64encode(b"hello").decode(), "not an image"),
    "truncated": (base64.b64encode(noise(300)).decode(), "truncated"),
    "a bomb": (base64.b64encode(enlarged(60_000, 60_000)).decode(), "more than 268435456 pixels"),
    "16 bits": (base64.b64encode(image("I;16", (60, 60), "PNG")).decode(), "more than 8 bits per channel"),
    "a program": (base64.b64encode(POSTSCRIPT).decode(), "not an image"),
    "null": (None, "a value of type NoneType"),
    "a number": (3.5, "a value of type float"),
    "true": (True, "a value of type bool"),
    "an object": ({"photo": "x"}, "a value of type dict"),
    "an empty list": ([], r"an array \(0,\)"),
    "a row": ([1, 2, 3], r"an array \(3,\) uint8; a photo is \(height, width\)"),
    "four channels": ([[[0] * 4] * 8] * 8, r"an array \(8, 8, 4\)"),
    "a batch": ([[[[0]] * 8] * 8] * 2, r"an array \(2, 8, 8, 1\)"),
    "ragged": ([[1], [2, 3]], "a list that is no array of numbers"),
    "words": ([["a"]], "a list that is no array of numbers"),
    "long words": ([["a" * 1_000_000, *[""] * 1000]], "a list that is no array of numbers"),
    "shares": ([[0.5] * 48] * 48, "other numbers than whole ones from 0 to 255"),
    "above 255": ([[256] * 48] * 48, "other numbers than whole ones from 0 to 255"),
    "below 0": ([[-1] * 48] * 48, "other numbers than whole ones from 0 to 255"),
    "huge numbers": ([[10**400]], "a list that is no array of numbers"),
    "nulls": ([[None]], "a list"),
    **{
        f"format {name}": (base64.b64encode(data).decode(), "cannot be decoded|which is not read")
        for name, data in FOREIGN.items()
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("cropped", [False, True])
def test_what_is_no_photo_is_a_row_that_says_why_between_good_ones(cropped, server, photos, told):
    good = in_base64(photos / "1-one.png")
    sent = [good, *(what for what, _ in NO_PHOTOS.values()), good]
    first, *bad, last = rows(server, sent, cropped=cropped)
    expected = told["--cropped" if cropped else ""][0]
    assert first == expected
    assert last == expected | {"photo": str(len(sent) - 1)}
    assert [row["photo"] for row in bad] == [str(number) for number in range(1, len(sent) - 1)]
    for (kind, (_, said)), row in zip(NO_PHOTOS.items(), bad, strict=True):
        assert re.search(said, row["error"]), (kind, row["error"])
        assert row == dict.fromkeys(FIELDS) | {"photo": row["photo"], "error": row["error"]}


NO_REQUESTS = {  # (body, content type): status, what the answer says
    "nothing": (b"", "application/json", 400, "valid JSON"),
    "no JSON": (b"photo", "application/json", 400, "valid JSON"),
    "no UTF-8": (b"\xff\xfe", "application/json", 400, "valid JSON"),
    "a list": (["x"], "application/json", 400, "JSON dictionary"),
    "a text": ("x", "application/json", 400, "JSON dictionary"),
    "no inputs": ({}, "application/json", 400, "'inputs' key"),
    "instances": ({"instances": ["x"]}, "application/json", 400, "'inputs' key"),
    "a table": ({"dataframe_split": {"data": [["x"]]}}, "application/json", 400, "'inputs' key"),
    "cropped is text": ({"inputs": [""], "params": {"cropped": "yes"}}, "application/json", 400, "cropped"),
    "cropped is a number": ({"inputs": [""], "params": {"cropped": 1}}, "application/json", 400, "cropped"),
    "params is a list": ({"inputs": [""], "params": ["cropped"]}, "application/json", 400, "Parameters must be a dict"),
    "a bare photo": (image("L", (60, 60), "PNG"), "image/png", 415, "content types"),
    "deep": (b"[" * 100_000, "application/json", 500, ""),
}


@pytest.mark.slow
def test_what_is_no_request_is_refused_with_a_reason_and_the_server_goes_on(server, photos, told):
    for kind, (body, content, status, said) in NO_REQUESTS.items():
        got, text = posted(server, body, content)
        assert (got, said in text) == (status, True), (kind, got, text[:500])
    assert rows(server, []) == []
    assert rows(server, [in_base64(photos / "1-one.png")]) == told[""][:1]


@pytest.mark.slow
def test_a_photo_of_many_megapixels_is_answered_in_its_own_pixels(server, photos, told):
    one = Image.open(photos / "1-one.png")
    file = io.BytesIO()
    one.resize((5000, 5000), Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
    (row,) = rows(server, [base64.b64encode(file.getvalue()).decode()])
    small = told[""][0]
    assert row["label"] == small["label"]
    assert np.array(row["box"]) / 25 == pytest.approx(np.array(small["box"]), abs=20)
