"""Files are written whole or not at all, and read back as they were."""

import csv
import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.core import files
from src.errors import UserError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_root_is_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert files.root() == tmp_path.resolve()


def test_the_root_is_the_users_repository_while_dvc_runs_a_copy_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    assert files.root() == (tmp_path / "repository").resolve()


def test_a_new_file_takes_the_place_of_the_old_one_only_at_the_end(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with files.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["result.txt"]


def test_a_new_folder_takes_the_place_of_the_old_one_with_all_it_held(tmp_path):
    path = tmp_path / "arrays"
    path.mkdir()
    (path / "old.npy").write_text("old")
    with files.replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "new.npy").write_text("new")
        assert names(path) == ["old.npy"]
    assert names(path) == ["new.npy"]
    assert names(tmp_path) == ["arrays"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(error), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["result.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_folder(tmp_path, error):
    path = tmp_path / "arrays"
    path.mkdir()
    (path / "old.npy").write_text("old")
    with pytest.raises(error), files.replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "new.npy").write_text("half")
        raise error
    assert (path / "old.npy").read_text() == "old"
    assert names(path) == ["old.npy"]
    assert names(tmp_path) == ["arrays"]


def test_a_failure_where_nothing_was_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="no"), files.replacing(tmp_path / "deep" / "result.txt") as temporary:
        temporary.write_text("half")
        raise ValueError("no")
    assert names(tmp_path / "deep") == []


@pytest.mark.parametrize("left", ["file", "folder"])
def test_what_a_killed_run_left_behind_does_not_get_into_the_result(tmp_path, left):
    path = tmp_path / "arrays"
    with files.replacing(path) as temporary:
        left_behind = temporary  # the name a killed run would leave
        temporary.mkdir()
    if left == "file":
        left_behind.write_text("stale")
    else:
        left_behind.mkdir()
        (left_behind / "stale.npy").write_text("stale")
    with files.replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "new.npy").write_text("new")
    assert names(path) == ["new.npy"]
    assert names(tmp_path) == ["arrays"]


def test_a_file_that_could_not_be_written_is_found_out_beforehand_and_leaves_no_trace(tmp_path):
    (tmp_path / "a file").write_text("old")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("folder")
    for place, said in {
        **{str(tmp_path): "is no file that could be replaced", "/": "is no file", "/dev/null": "is no file"},
        **{
            f"{tmp_path}/pipe": "is no file",
            f"{tmp_path}/link": "is no file",
            "/dev/full": "is no file",
            ".": "is no file",
        },
        f"{tmp_path}/a file/below.png": "cannot be written: Not a directory",
        **{f"{tmp_path}/{'x' * length}.png": "cannot be written: File name too long" for length in (250, 300, 5000)},
        **{f"/proc/{name}": "cannot be written: No such file" for name in ("out.png", "new/out.png")},
    }.items():
        with pytest.raises(UserError) as raised:
            files.check_writable(Path(place))
        assert str(raised.value).startswith(f"{place} {said}")
    for place in ("a file", "folder/new.png", "new/folder/new.png"):
        files.check_writable(tmp_path / place)
    assert names(tmp_path) == ["a file", "folder", "link", "pipe"]
    assert (tmp_path / "a file").read_text() == "old"
    assert names(tmp_path / "folder") == []


def test_folders_on_the_way_are_made(tmp_path):
    files.write_json(tmp_path / "a" / "b" / "c.json", {})
    assert (tmp_path / "a" / "b" / "c.json").is_file()


def test_json_is_written_with_line_feeds_and_read_back_equal(tmp_path):
    content = {"name": "Überraschung", "values": [1, 0.1 + 0.2, None, True]}
    files.write_json(tmp_path / "m.json", content)
    data = (tmp_path / "m.json").read_bytes()
    assert json.loads(data) == content
    assert data.endswith(b"}\n")
    assert b"\r" not in data


def test_content_that_json_cannot_hold_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.json"
    files.write_json(path, {"epoch": 1})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        files.write_json(path, {"epoch": object()})
    assert path.read_bytes() == before
    assert names(tmp_path) == ["m.json"]


def test_floats_in_a_csv_read_back_to_the_same_bits(tmp_path):
    rng = np.random.default_rng(0)
    values = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 1e-12, 2.0**53, math.pi]
    values += list(rng.random(500)) + list(np.exp(rng.uniform(-300, 300, 500)))
    files.write_csv(tmp_path / "t.csv", pd.DataFrame({"value": values}))
    with (tmp_path / "t.csv").open(newline="") as file:
        read = [float(row["value"]) for row in csv.DictReader(file)]
    assert np.array(read).tobytes() == np.array(values).tobytes()


def test_single_precision_in_a_csv_reads_back_to_the_same_bits(tmp_path):
    values = np.random.default_rng(0).random(500, dtype=np.float32)
    files.write_csv(tmp_path / "t.csv", pd.DataFrame({"value": values}))
    with (tmp_path / "t.csv").open(newline="") as file:
        read = [float(row["value"]) for row in csv.DictReader(file)]
    assert np.array(read, np.float32).tobytes() == values.tobytes()


def test_a_csv_has_its_columns_and_no_index(tmp_path):
    table = pd.DataFrame({"member": ['a,"b".jpg', "ü.jpg"], "group": [7, 8]}, index=[30, 10])
    files.write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_bytes().decode() == 'member,group\n"a,""b"".jpg",7\nü.jpg,8\n'


def test_sha256_is_that_of_the_content(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180-2
    assert files.digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
