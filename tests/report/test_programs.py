"""Rows are bound to the program that trained them: what was not shown to be the same is not put side by side."""

import sys

import pandas as pd
import pytest

from src.report import grid
from src.report.programs import Programs
from tests.conftest import fresh

GRID = """
data: tiny drawn faces
params: {}
cells:
  - {dataset: ai, seed: [1, 2]}
"""


def rows(**programs: str) -> pd.DataFrame:
    return pd.DataFrame({"name": list(programs), "program": list(programs.values())})


def names(programs: Programs, table: pd.DataFrame) -> list[str]:
    return programs.comparable(table)["name"].to_list()


def test_only_the_largest_group_of_rows_whose_programs_are_alike_stands_side_by_side(tmp_path):
    table = rows(a="old", b="old", c="new", d="other")
    programs = Programs.read(tmp_path)
    assert names(programs, table) == ["a", "b"]
    programs.add("old", "new", "a", True)
    assert names(Programs.read(tmp_path), table) == ["a", "b", "c"]
    assert Programs.read(tmp_path).tried("new", "old")
    assert not Programs.read(tmp_path).tried("other", "old")


def test_likeness_passes_on(tmp_path):
    programs = Programs.read(tmp_path).add("one", "two", "a", True).add("two", "three", "a", True)
    assert programs.alike("three") == {"one", "two", "three"}
    assert programs.tried("one", "three")


def test_rows_of_a_program_that_gave_other_bytes_are_outdated_even_if_another_cell_gave_the_same(tmp_path):
    programs = Programs.read(tmp_path).add("older", "old", "a", True).add("old", "new", "a", False)
    assert programs.add("old", "new", "b", True).outdated == programs.outdated == {"older", "old"}
    assert names(programs, rows(a="old", b="older", c="new")) == ["c"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("{rendered.seed: [1, 2]}", ["g-ai-conv3-rendered.seed-1-seed1", "g-ai-conv3-rendered.seed-2-seed1"]),
        ("{split.seed: 2, seed: [1, 2]}", ["g-ai-conv3-split.seed-2-seed1", "g-ai-conv3-split.seed-2-seed2"]),
        ("{local_path: [one/a.zip, b.zip]}", ["g-ai-conv3-local-path-a-seed1", "g-ai-conv3-local-path-b-seed1"]),
        ("{source: [rendered, local], local_path: a.zip}",
         ["g-ai-conv3-source-rendered-seed1", "g-ai-conv3-source-local-seed1"]),
        ("{local_path: a.zip, seed: [1, 2]}", ["g-ai-conv3-seed1", "g-ai-conv3-seed2"]),
    ],
)  # fmt: skip
def test_cells_that_differ_in_anything_have_two_names(cells, expected, tmp_path):
    (tmp_path / "g").mkdir()
    (tmp_path / "g/grid.yaml").write_text(f"data: d\nparams: {{}}\ncells:\n  - {cells}\n")
    assert [cell.name for cell in grid.read(tmp_path / "g").cells] == expected


@pytest.mark.parametrize(
    "cells",
    [
        "{local_path: [one/a.zip, two/a.zip]}",
        "{local_path: a.zip}\n  - {local_path: b.zip}",
        "{datasets.ai.native_size: 64}\n  - {datasets.ai2.native_size: 64}",
    ],
)
def test_cells_that_would_have_one_name_are_refused(cells, tmp_path):
    (tmp_path / "g").mkdir()
    (tmp_path / "g/grid.yaml").write_text(f"data: d\nparams: {{}}\ncells:\n  - {cells}\n")
    with pytest.raises(grid.UserError, match=r"grid.yaml: two cells would both be called g-ai-conv3.*-seed1: .*"):
        grid.read(tmp_path / "g")


@pytest.mark.slow
def test_other_code_is_found_confirmed_or_run_again_and_never_mixed_in(small, tmp_path):
    """With the real queue: a comment leaves the bytes, another update rule does not."""
    clone = fresh(small, tmp_path / "grid")
    (clone.path / "tiny").mkdir()
    (clone.path / "tiny/grid.yaml").write_text(GRID)
    command = [sys.executable, "-m", "src.report", "tiny", "--workers", "1"]

    def cells() -> pd.DataFrame:
        return pd.read_csv(clone.path / "tiny/cells.csv", dtype=str).set_index("name")

    def edit(before: str, after: str) -> None:
        path = clone.path / "src/train/optimizer.py"
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    clone.run(*command)
    first = cells()
    assert first["program"].nunique() == 1
    assert first["model"].notna().all()

    edit("class Adam", "# a comment\nclass Adam")
    (clone.path / "tiny/cells.csv").write_text(
        "\n".join((clone.path / "tiny/cells.csv").read_text().splitlines()[:2]) + "\n"
    )
    clone.run(*command)  # the experiment of the cell that is missing is there, but of other code
    mixed = cells()
    assert mixed["program"].nunique() == 2
    assert mixed["model"].to_list() == first["model"].to_list()
    page = (clone.path / "tiny/README.md").read_text()
    assert "1 of 2 cells" in page

    said = clone.run(*command, "--confirm").stdout
    assert "tiny-ai-conv3-seed1: the same bytes as of program" in said
    assert "2 of 2 cells" in (clone.path / "tiny/README.md").read_text()

    edit("beta1=self.beta_1,", "beta1=self.beta_1 * 0.9,")
    said = clone.run(*command, "--confirm", "tiny-ai-conv3-seed2").stdout
    assert "tiny-ai-conv3-seed2: other bytes than of program" in said
    assert "1 of 2 cells" in (clone.path / "tiny/README.md").read_text()
    clone.run(*command)
    last = cells()
    assert last["program"].nunique() == 1
    assert set(last["model"]).isdisjoint(first["model"])
    assert "2 of 2 cells" in (clone.path / "tiny/README.md").read_text()
