"""The grid, the statistics over its cells, and the page: what they say follows from cells.csv alone."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.errors import UserError
from src.report import cleaning, grid, markdown, page, published
from src.report.claims import CLAIMS
from src.report.rules import FAILS, HOLDS, OPEN, findings
from src.report.selection import LEAD, VALIDATION, Accuracy, Configuration, Runs, resolutions
from src.report.unpublished import readings

GRID = """
data: made-up numbers
params: {epochs: 50}
cells:
  - {dataset: ai, conv_layers: [2, 3], seed: [1, 2, 3]}
  - {dataset: ai, conv_layers: 3, seed: 1}
  - {dataset: ai, model.dropout: 0.0, seed: [1, 2, 3]}
  - {dataset: ai2, datasets.ai2.input_size: [48, 96], seed: [1, 2]}
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "grid.yaml").write_text(GRID)
    return tmp_path / "g"


def row(cell: grid.Cell, end: float) -> dict:
    """A finished cell whose validation accuracy rises to `end`, and training accuracy to 0.1 more."""
    curve = np.linspace(0, end, cell.params.epochs)
    return {
        "name": cell.name,
        "params": cell.digest,
        "dataset": cell.params.dataset,
        "conv_layers": cell.params.conv_layers,
        "seed": cell.params.seed,
        "epochs": cell.params.epochs,
        "input_size": cell.params.data.input_size,
        "dense_units": grid.listed(cell.params.model.dense_units),
        "dropout_at": grid.listed(cell.params.model.dropout_at),
        "varied": json.dumps(cell.varied),
        "train_images": 100,
        "scored_images": 20,
        "majority": 0.25,
        "parameters": 1000,
        "operations": 1000 * cell.params.conv_layers,
        "accuracy": " ".join(map(str, curve + 0.1)),
        "val_accuracy": " ".join(map(str, curve)),
        "seconds_per_epoch": 2.0,
        "commit": "abc",
        "environment": "python 3.11",
    }


def finish(chosen: grid.Grid, end) -> pd.DataFrame:
    pd.DataFrame([row(cell, end(cell)) for cell in chosen.cells]).to_csv(chosen.csv, index=False)
    return chosen.rows()


def test_a_cell_named_twice_is_one_and_its_name_says_what_sets_it_apart(folder):
    names = [cell.name for cell in grid.read(folder).cells]
    assert len(names) == len(set(names)) == 13
    assert names[0] == "g-ai-conv2-seed1"
    assert "g-ai-conv3-dropout-0.0-seed2" in names
    assert "g-ai2-conv3-input-size-96-seed1" in names


def test_a_row_finishes_its_cell_until_any_param_changes(folder):
    chosen = grid.read(folder)
    finish(chosen, lambda cell: 0.5)
    assert grid.read(folder).missing() == []
    (folder / "grid.yaml").write_text(GRID.replace("epochs: 50", "epochs: 51"))
    assert len(grid.read(folder).missing()) == 13


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("conv_layers: [2, 3]", "conv_layers: [2, 9]"), "conv_layers = 9 is not allowed"),
        (("model.dropout", "model.drop"), "model.drop is not a param"),
        (("model.dropout", "epochs.dropout"), "epochs.dropout is not a param"),
        (("model.dropout", "model"), "model = 0.0 is not allowed"),
        (("cells:", "sells:"), "cells is missing"),
        (("data: made-up numbers", "data: 7"), "data = 7 is not allowed"),
        (
            ("data: made-up", "stand_ins: [ai4]\ndata: made-up"),
            "stand_ins names ai4, which params.yaml does not describe",
        ),
        (("data: made-up", "data: {"), "cannot be read as YAML: line"),
        (("params: {epochs: 50}", "params: 50"), "params = 50 is not allowed"),
        (("[1, 2, 3]}", "[1, 2, 3]}\n  - ai"), "cells.1 = 'ai' is not allowed"),
        (("{epochs: 50}", "&one {epochs: 50}\nagain: *one"), "is an alias"),
        (("{epochs: 50}", "{<<: {epochs: 50}}"), "is a merge"),
        (("made-up", "made-up\t\0"), "cannot be read as YAML: unacceptable character #x0000"),
        (("[1, 2, 3]", "[" * 10_000), "nested deeper than 10 levels"),
        (("[1, 2, 3]", str([*range(5000)])), "and 10000 is the most that one grid may have"),
        (("data", "#" * 10**6 + "\ndata"), "more than 200000 bytes"),
        ((GRID, ""), "must hold lines of the form"),
        ((GRID, "- cells\n"), "must hold lines of the form"),
    ],
)
def test_a_wrong_grid_is_an_error_that_names_it(folder, change, message):
    (folder / "grid.yaml").write_text(GRID.replace(*change))
    with pytest.raises(UserError, match=message) as error:
        grid.read(folder)
    assert all("grid.yaml" in line for line in str(error.value).splitlines())


def test_a_grid_of_one_epoch_gives_a_page(folder):
    (folder / "grid.yaml").write_text(GRID.replace("epochs: 50", "epochs: 1"))
    chosen = grid.read(folder)
    rows = finish(chosen, lambda cell: 0.5)
    assert [len(curve) for curve in rows["accuracy"]] == [1] * len(chosen.cells)
    page.write(chosen)


def test_runs_are_selected_by_all_that_they_vary(folder):
    runs = Runs(finish(grid.read(folder), lambda cell: 0.5))

    def seeds(configuration: Configuration) -> list[int]:
        group = runs.of(configuration)
        return list(group.runs.index) if group else []

    assert seeds(Configuration("ai")) == [1, 2, 3]
    assert seeds(Configuration("ai", varied={"model.dropout": 0.0})) == [1, 2, 3]
    assert seeds(Configuration("ai2")) == []
    (sizes,) = resolutions(runs).values()
    assert {size: list(group.runs.index) for size, group in sizes.items()} == {48: [1, 2], 96: [1, 2]}


def test_of_runs_that_differ_in_their_end_the_longest_count_and_timed_ones_not_at_all(folder):
    entries = "  - {dataset: ai, epochs: [60, 70], seed: [1, 2]}\ntimed:\n  - {dataset: ai, epochs: 90}\n"
    (folder / "grid.yaml").write_text(GRID + entries)
    rows = finish(grid.read(folder), lambda cell: 0.5)
    group = Runs(rows).of(Configuration("ai"))
    assert group is not None and (group.epochs, list(group.runs.index)) == (70, [1, 2])
    assert list(Runs(rows).timed["name"]) == ["g-ai-conv3-epochs-90-seed1"]


def test_an_accuracy_is_the_mean_of_the_epochs_up_to_its_end_and_runs_that_ended_before_have_none(folder):
    runs = Runs(finish(grid.read(folder), lambda cell: 0.5))
    curve, one = np.linspace(0, 0.5, 50), Configuration("ai")
    assert runs.values(one.validation())[1] == pytest.approx(curve[-10:].mean())
    assert runs.values(one.validation(), window=5)[1] == pytest.approx(curve[-5:].mean())
    assert runs.values(one.validation(15))[1] == pytest.approx(curve[5:15].mean())
    assert runs.values(one.validation(4))[1] == pytest.approx(curve[:4].mean())
    assert runs.values(one.validation(50, since=30))[1] == pytest.approx(curve[40:].mean() - curve[20:30].mean())
    assert runs.values(Accuracy(one, VALIDATION, 50), window=1)[1] == 0.5
    assert runs.values(one.validation(51)).empty
    assert runs.values(Accuracy(one, LEAD))[1] == pytest.approx(-0.1)


def test_a_run_that_is_no_better_than_the_most_frequent_label_has_not_learned(folder):
    rows = finish(grid.read(folder), lambda cell: 0.0 if cell.params.conv_layers == 2 else 0.5)
    assert {group.configuration.conv_layers for group in Runs(rows).groups.values() if not group.learned} == {2}
    page.write(grid.read(folder))
    said = "hardly learned, and pooled with no others: g-ai-conv2-seed1, g-ai-conv2-seed2, g-ai-conv2-seed3."
    assert said in (folder / "README.md").read_text()


def test_every_published_claim_has_a_rule_and_no_rule_is_without_one():
    assert list(CLAIMS) == list(published.CLAIMS)


def test_without_cells_every_claim_is_open_and_the_page_says_so(folder):
    chosen = grid.read(folder)
    assert {finding.verdict for finding in findings(CLAIMS, Runs(chosen.rows())).values()} == {OPEN}
    page.write(chosen)
    text = (folder / "README.md").read_text()
    assert "0 of 13 cells" in text
    assert "The page is incomplete" in text


@pytest.mark.parametrize("finished", range(0, 13, 3))
def test_a_number_that_no_cell_gives_is_not_run(folder, finished):
    chosen = grid.read(folder)
    finish(chosen, lambda cell: 0.5 + cell.params.seed / 100)
    pd.read_csv(chosen.csv).head(finished).to_csv(chosen.csv, index=False)
    page.write(chosen)
    text = (folder / "README.md").read_text()
    assert f"{finished} of 13 cells" in text
    assert "not run" in text
    assert not re.search(r"\b(nan|inf|None)\b", text)


def test_the_page_shows_every_claim_and_number_and_comes_out_the_same_again(folder):
    chosen = grid.read(folder)
    finish(chosen, lambda cell: 0.5 + cell.params.seed / 100)
    page.write(chosen)
    first = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    text = (folder / "README.md").read_text()
    for name, finding in findings(CLAIMS, Runs(chosen.rows())).items():
        assert f"| {name}: " in text
        listed = text.split(f"**{finding.verdict.capitalize()}**")[1].split("**")[0]
        assert f"- {name}: " in listed
        assert finding.changes in listed
    for accuracy in ("0.6771", "0.6165", "0.7451", "0.5292", "0.7782"):
        assert accuracy in text
    assert len(list((folder / "figures").glob("*.png"))) >= 4
    page.write(chosen)
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()} == first


def test_a_cell_of_a_table_may_hold_pipes_and_line_breaks():
    content = pd.DataFrame({"a|b": ["one\ntwo", "|"], "c": [0.1, r"\|"], "": ["x\r\ny\rz", None]})
    lines = markdown.table(content).split("\n")
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines] == [4] * 4
    assert lines[0] == r"| a\|b | c |  |"
    assert lines[2] == "| one<br>two | 0.1 | x<br>y<br>z |"


def test_data_described_on_several_lines_with_pipes_and_dollars_is_told_as_it_is(folder):
    chosen = grid.read(folder)._replace(data="faces | $data {data}\nof two kinds")
    page.write(chosen)
    assert "Data: **faces | $data {data}\nof two kinds**. 0 of 13" in (folder / "README.md").read_text()


def test_rows_from_before_a_column_came_still_give_a_page(folder):
    chosen = grid.read(folder)
    finish(chosen, lambda cell: 0.5)
    pd.read_csv(chosen.csv).drop(columns="environment").to_csv(chosen.csv, index=False)
    page.write(chosen)
    assert "environments: none recorded" in (folder / "README.md").read_text()


@pytest.mark.parametrize("place", ["report", "docs/results"])
def test_a_committed_page_is_what_its_rows_give_to_the_byte(place, tmp_path, monkeypatch):
    repository = Path(__file__).resolve().parents[2]
    shutil.copytree(repository / place, tmp_path / place)
    shutil.copy(repository / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(Path(place) / "figures")
    (Path(place) / "README.md").unlink()
    page.write(grid.read(Path(place)))
    committed = [path.relative_to(repository) for path in (repository / place).rglob("*") if path.is_file()]
    assert len(committed) > 5
    assert [path for path in committed if path.read_bytes() != (repository / path).read_bytes()] == []


def test_the_reading_of_what_is_unpublished_is_the_one_nearest_to_the_published_curve(folder):
    (folder / "grid.yaml").write_text(
        """
data: made-up numbers
params: {}
cells:
  - {dataset: ai, seed: [1, 2]}
  - {dataset: ai, epochs: 100, seed: [1, 2]}
  - {dataset: ai, model.dense_units: [256, [1024, 512]]}
  - {dataset: ai_half, model.dense_units: [[1024, 512]]}
  - {dataset: ai, model.dense_units: 1024, model.dropout_at: [[dense, blocks]]}
  - {dataset: ai, model.dense_units: 1024, batch_size: 64}
"""
    )

    def end(cell):  # training accuracy at epoch 50 is 0.1 more
        return {256: 0.52, 512: 0.62, 1024: 0.65}[cell.params.model.dense_units[0]] * cell.params.epochs / 50

    runs = Runs(finish(grid.read(folder), end))
    quarter = 1.24 * 24 / 99 + 0.1  # training accuracy at epoch 25 of the default
    published_runs = {
        "curve": {25: [quarter + 0.01, 0.6], 50: [1.24 * 49 / 99 + 0.11, 0.6], 100: [1.44, 0.6]},
        "set 1": {50: [0.76, 0.6]},
        "set 2": {50: [0.70, 0.6]},
    }
    table = readings(runs, published_runs)
    assert list(zip(table["dense units"], table["dropout at"], table["seeds"], strict=True)) == [
        ("512", "flatten", 2), ("1024-512", "flatten", 1), ("1024", "dense-blocks", 1), ("256", "flatten", 1)
    ]  # fmt: skip
    assert table["off the curve"].iloc[0] == pytest.approx(0.01)
    assert table["off all of it"].iloc[0] == pytest.approx(((0.01**2 * 2 + 0.1**2) / 3) ** 0.5)
    assert list(table["off all of it"].isna()) == [False, True, True, True]
    assert table["rise since 25"].iloc[0] == pytest.approx(1.24 * 25 / 99)
    assert table["off set 1"].idxmin() == 1
    assert table["off set 2"].iloc[1] == pytest.approx(0.05)
    page.write(grid.read(folder))
    nearest = readings(runs, published.RUNS).iloc[0]
    said = f"Nearest to the curve up to epoch 50: {nearest['dense units']} units, dropout at {nearest['dropout at']}."
    assert said in " ".join((folder / "README.md").read_text().split())


def test_what_cleaning_is_worth_is_the_difference_of_runs_with_the_same_seed_by_both_yardsticks(folder):
    entry = "dataset: ai, split.policy: clean, epochs: 20, seed: [1, 2, 3]"
    (folder / "grid.yaml").write_text(
        f"data: made-up numbers\nparams: {{}}\ncells:\n  - {{{entry}}}\n"
        f"  - {{{entry}, preprocess.usable: network}}\n  - {{{entry}, split.votes: soft}}\n"
    )
    chosen = grid.read(folder)
    seeds = {1: 0.50, 2: 0.52, 3: 0.57}
    crowd = {"none": {1: 0.60, 2: 0.61, 3: 0.62}, "soft": {1: 0.70, 2: 0.71, 3: 0.72}}
    rows = [
        row(cell, 0.5)
        | {
            "score": seeds[cell.params.seed] + (0.01 * cell.params.seed if "preprocess.usable" in cell.varied else 0),
            "crowd_score": crowd[cell.params.split.votes][cell.params.seed],
        }
        for cell in chosen.cells
    ]
    pd.DataFrame(rows).to_csv(chosen.csv, index=False)
    table = cleaning.worth(Runs(chosen.rows())).set_index("images")
    assert list(table.index) == ["as they are", "without unusable faces", "the crowd's votes as labels"]
    assert table["label of the folder"].to_list() == ["0.5300", "0.5500", "0.5300"]
    # 0.01, 0.02 and 0.03: 4.303 standard errors of the mean, 0.01 / sqrt(3) each.
    assert table["label of the folder, difference"].to_list() == ["", "+0.0200 ± 0.0248", "+0.0000 ± 0.0000"]
    assert table["crowd, difference"].to_list() == ["", "+0.0000 ± 0.0000", "+0.1000 ± 0.0000"]
    assert "## What cleaning is worth" in page.text(chosen, chosen.rows(), [])


def test_the_claim_about_quality_and_quantity_takes_both(folder):
    share, clean = "dataset: ai, seed: [1, 2, 3]", "dataset: ai, split.policy: clean, epochs: 20, seed: [1, 2, 3]"
    all_of_it = "preprocess.align: segmentation, preprocess.usable: network, split.leave_out: issues"
    (folder / "grid.yaml").write_text(
        f"data: made-up numbers\nparams: {{}}\ncells:\n  - {{{share}}}\n  - {{{share}, split.train_share: 0.5}}\n"
        f"  - {{{clean}}}\n  - {{{clean}, {all_of_it}}}\n"
    )
    chosen = grid.read(folder)

    def verdict(quantity: float, quality: float | None) -> str:
        def end(cell: grid.Cell) -> float:
            noise = 0.002 * cell.params.seed
            if cell.params.split.policy == "clean":
                return 0.5 + noise + (quality or 0) * ("preprocess.usable" in cell.varied)
            return 0.6 + noise - quantity * ("split.train_share" in cell.varied)

        rows = finish(chosen, end)
        if quality is None:
            rows = rows[~rows["name"].str.contains("clean")]
        return findings({"C9": CLAIMS["C9"]}, Runs(rows))["C9"].verdict

    assert verdict(0.1, 0.1) == HOLDS
    assert verdict(0.1, -0.1) == verdict(-0.1, 0.1) == FAILS
    assert verdict(0.1, None) == OPEN
