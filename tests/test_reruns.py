"""What DVC runs again after an edit is what CONTRIBUTING.md's table says."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from tests.conftest import HERE, Clone

STAGES = yaml.safe_load((HERE / "dvc.yaml").read_text())["stages"]
TABLE = dict(re.findall(r"^\| `(src/[\w/*.]+)` \| ([\w, ]+) \|$", (HERE / "CONTRIBUTING.md").read_text(), re.MULTILINE))
ROOMS = {path.parent.relative_to(HERE).as_posix() for path in (HERE / "src").rglob("*.py")} - {"src"}


@pytest.fixture
def clean(reproduced) -> Iterator[Clone]:
    """The reproduced repository, to be edited and put back; nothing is to be run."""
    assert status(reproduced) == {}
    yield reproduced
    reproduced.run("git", "checkout", "-q", ".")


def status(clone: Clone) -> dict[str, dict[str, object]]:
    """{stage: what it depends on that is another now}; not through .venv/bin/dvc, which writes libraries.yaml."""
    said = json.loads(clone.run("python", "-m", "dvc", "status", "--json").stdout)
    assert all(list(one) == ["changed deps"] for found in said.values() for one in found)
    return {stage: one["changed deps"] for stage, (one,) in said.items()}


def named(stages: str) -> set[str]:
    return set() if stages == "none" else set(stages.split(", "))


def test_every_room_stands_in_the_table():
    assert TABLE.keys() == ROOMS | {"src/*.py"}
    assert {name for stages in TABLE.values() for name in named(stages)} == STAGES.keys()


def test_an_edit_in_a_room_runs_the_stages_again_that_the_table_names(clean):
    for room, stages in TABLE.items():
        edited = sorted(clean.path.glob(room if "*" in room else f"{room}/*.py"))
        before = [path.read_bytes() for path in edited]
        for path in edited:
            path.write_bytes(path.read_bytes() + b"# harmless\n")
        assert {stage: set(deps) for stage, deps in status(clean).items()} == {stage: {room} for stage in named(stages)}
        for path, content in zip(edited, before, strict=True):
            path.write_bytes(content)


def test_a_formatters_version_runs_nothing_again_and_a_librarys_the_stages_that_list_it(clean):
    path = clean.path / "requirements.txt"
    text = path.read_text()
    path.write_text(re.sub(r"^ruff==\S+", "ruff==99.0", text, flags=re.MULTILINE))
    assert path.read_text() != text
    assert status(clean) == {}
    path = clean.path / "libraries.yaml"
    versions = yaml.safe_load(path.read_text())
    lists = {
        name: next(entry["libraries.yaml"] for entry in stage["params"] if isinstance(entry, dict))
        for name, stage in STAGES.items()
    }
    for library in ("keras", "matplotlib", "pillow"):
        path.write_text(yaml.safe_dump(versions | {library: "99.0"}))
        expected = {name: {"libraries.yaml": {library: "modified"}} for name in STAGES if library in lists[name]}
        assert status(clean) == expected


@pytest.mark.parametrize("section", ["train", "split", "datasets"])
def test_a_new_key_in_a_section_runs_the_stages_again_that_read_the_section(clean, section):
    path = clean.path / "params.yaml"
    values = yaml.safe_load(path.read_text())
    values[section]["another"] = 1
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    readers = [name for name, stage in STAGES.items() if section in stage["params"]]
    assert status(clean) == {name: {"params.yaml": {section: "modified"}} for name in readers}
    assert (
        readers
        == {
            "train": ["train"],
            "split": ["split"],
            "datasets": ["download", "preprocess", "train", "evaluate", "plot"],
        }[section]
    )
