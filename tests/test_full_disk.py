"""A disk that is full in the middle of a stage: one line with the path, and what was there before is still there."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from src.params import changed
from tests.conftest import HERE, TINY
from tests.download.test_fer_csv import rows, table

SMALL = {"rendered.scale": 0.02, "dataset": "ai", **TINY}
# `unshare` gives the stage file systems of its own: a folder becomes a small one, with a copy of what was in it.
SCRIPT = """
folder=$1
cp -a $folder before && mount -t tmpfs -o size=$2 tmpfs $folder && cp -a before/. $folder || exit 77
shift 2
"$@"
status=$?
diff -r -x '*.pid' before $folder >&2 || exit 78
exit $status
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A repository's folder after download and split, 718 faces of 48 x 48."""
    path = tmp_path_factory.mktemp("repository")
    for name in ("src", "dvc.yaml", "libraries.yaml", ".dvcignore"):
        (path / name).symlink_to(HERE / name)
    (path / ".dvc").mkdir()
    (path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (path / "metrics").mkdir()
    values = yaml.safe_load((HERE / "params.yaml").read_text())
    (path / "params.yaml").write_text(yaml.safe_dump(changed(values, SMALL)))
    for name in ("download", "split"):
        subprocess.run(stage(name), cwd=path, check=True, capture_output=True, env=environment())
    return path


def stage(name: str) -> list[str]:
    return [sys.executable, "-m", f"src.{name}"]


def environment(**values: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DVC_ROOT"} | values


def on_a_small_disk(
    folder: Path, kilobytes: int, *command: str, small: str = "data", **values: str
) -> subprocess.CompletedProcess:
    """Runs a command where `small` has room for so many kilobytes; status 78 if it leaves anything changed there."""
    wrapped = ["unshare", "-rm", "bash", "-c", SCRIPT, "bash", small, f"{kilobytes}k", *command]
    try:
        done = subprocess.run(wrapped, cwd=folder, env=environment(**values), capture_output=True, text=True)
    finally:
        shutil.rmtree(folder / "before", ignore_errors=True)
    if done.returncode == 77 or done.stderr.startswith("unshare"):
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    return done


def size(path: Path) -> int:
    """In kilobytes, on a file system with pages of 4."""
    return sum(-(-file.stat().st_size // 4096) * 4 for file in path.rglob("*") if file.is_file())


def error_of(done: subprocess.CompletedProcess) -> str:
    """The one line that it has said besides its progress."""
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, done.stderr
    return lines[0].removeprefix("error: ")


@pytest.mark.parametrize("room", [4, 400, 1600])
def test_preprocess_on_a_full_disk(folder, room):
    """718 faces are 1,654 kilobytes; 4 are not enough for a header, and 1600 only for the larger split."""
    done = on_a_small_disk(folder, size(folder / "data") + room, *stage("preprocess"))
    assert error_of(done) == "data/arrays cannot be written: No space left on device"


@pytest.mark.parametrize("room", [4, 400])
def test_download_on_a_full_disk(folder, room):
    done = on_a_small_disk(folder, size(folder / "data") + room, *stage("download"))
    assert error_of(done) == "data/raw.zip cannot be written: No space left on device"


def test_split_on_a_full_disk(folder):
    done = on_a_small_disk(folder, size(folder / "data") + 8, *stage("split"))
    assert error_of(done) == "data/manifest.csv cannot be written: No space left on device"


def test_the_table_of_fer2013_where_temporary_files_have_no_room(folder):
    (folder / "fer2013.csv").write_bytes(table(rows() * 20))
    code = (
        "from src import params, command; from src.download import local; p = params.load(); command.run("
        "lambda: local.images('fer2013.csv', None, p.data.labels, p.layout, p.limits) and None)"
    )
    done = on_a_small_disk(folder, size(folder / "data") + 100, sys.executable, "-c", code, TMPDIR="data")
    said = error_of(done)
    assert said.startswith(
        "local_path: fer2013.csv: the pixels of fer2013.csv find no room in a temporary file: No space"
    )
    assert "TMPDIR" in said


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("download", "data/raw.zip"),
        ("split", "data/manifest.csv"),
        ("usable", "models/usable.npy"),
        ("segmentation", "models/segmentation.npy"),
        ("preprocess", "data/arrays"),
    ],
)
def test_a_file_larger_than_the_system_allows(folder, name, path):
    limit = 50_000
    done = subprocess.run(
        stage(name),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert error_of(done) == f"{path} cannot be written: File too large"
    assert sorted(file.name for file in (folder / "data").iterdir()) == ["manifest.csv", "raw.zip", "votes.csv"]


@pytest.fixture
def prepared(folder) -> Path:
    """The same after preprocess, for a training of one short epoch."""
    subprocess.run(stage("preprocess"), cwd=folder, check=True, capture_output=True, env=environment())
    values = yaml.safe_load((folder / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(changed(values, {"epochs": 1, "model.dense_units": 16})))
    (folder / "models").mkdir(exist_ok=True)
    return folder


@pytest.mark.slow
def test_training_on_a_disk_that_is_full_at_its_end_has_lost_nothing(prepared):
    """The model, then a checkpoint, find no room; with room the training goes on behind its last checkpoint."""
    done = on_a_small_disk(prepared, 40, *stage("train"), small="models")
    assert error_of(done) == "models/model.h5 cannot be written: No space left on device"
    (checkpoint,) = (prepared / ".checkpoints").glob("*/000001")
    checkpoint.unlink()
    done = on_a_small_disk(prepared, size(checkpoint.parent) + 40, *stage("train"), small=".checkpoints")
    assert error_of(done).endswith("/000001 cannot be written: No space left on device")
    assert not checkpoint.exists()
    for said in ("", "continuing after epoch 1 of 1"):
        done = subprocess.run(stage("train"), cwd=prepared, capture_output=True, text=True, env=environment())
        assert done.returncode == 0
        assert said in done.stdout
