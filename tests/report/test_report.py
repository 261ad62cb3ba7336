"""The grid, the statistics over its cells, and the page: what they say follows from cells.csv alone."""

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.errors import UserError
from src.report import grid, markdown, page, published
from src.report.claims import CLAIMS, findings
from src.report.rules import FAILS, HOLDS, OPEN, Claim, Finding, Reaches, Within
from src.report.selection import LEAD, Configuration, by_resolution, mean_accuracy
from src.report.statistics import Interval, difference, mean_interval, prediction_interval, relative_gain
from src.report.unpublished import readings

GRID = """
data: made-up numbers
params: {epochs: 20}
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
        "dense_units": cell.params.model.dense_units,
        "dropout_at": cell.params.model.dropout_at,
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
    (folder / "grid.yaml").write_text(GRID.replace("epochs: 20", "epochs: 21"))
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
        (("data: made-up", "data: {"), "cannot be read as YAML: line"),
        (("params: {epochs: 20}", "params: 20"), "params = 20 is not allowed"),
        (("[1, 2, 3]}", "[1, 2, 3]}\n  - ai"), "cells.1 = 'ai' is not allowed"),
        (("{epochs: 20}", "&one {epochs: 20}\nagain: *one"), "is an alias"),
        (("{epochs: 20}", "{<<: {epochs: 20}}"), "is a merge"),
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
    (folder / "grid.yaml").write_text(GRID.replace("epochs: 20", "epochs: 1"))
    chosen = grid.read(folder)
    rows = finish(chosen, lambda cell: 0.5)
    assert [len(curve) for curve in rows["accuracy"]] == [1] * len(chosen.cells)
    page.write(chosen)


def test_intervals_are_those_of_the_textbook():
    """Of 1, 2, 3: mean 2, standard deviation 1, t(0.975, 2) = 4.3027."""
    assert mean_interval([1, 2, 3]).half == pytest.approx(4.3027 / 3**0.5, abs=1e-4)
    assert prediction_interval([1, 2, 3]).half == pytest.approx(4.3027 * (4 / 3) ** 0.5, abs=1e-4)
    assert prediction_interval([1]).half == float("inf")
    assert mean_interval([]).n == 0


def test_differences_and_gains_are_paired_by_seed():
    one, other = pd.Series({1: 0.5, 2: 0.6, 3: 0.9}), pd.Series({2: 0.5, 1: 0.4})
    assert difference(one, other).mean == pytest.approx(0.1)
    assert difference(one, other).n == 2
    assert relative_gain(one, other).mean == pytest.approx((0.25 + 0.2) / 2)
    assert relative_gain(one, other).n == 2


def test_runs_are_selected_by_all_that_they_vary(folder):
    rows = finish(grid.read(folder), lambda cell: 0.5)
    assert list(Configuration("ai").runs(rows).index) == [1, 2, 3]
    assert list(Configuration("ai", varied={"model.dropout": 0.0}).runs(rows).index) == [1, 2, 3]
    assert Configuration("ai2").runs(rows).empty
    (sizes,) = by_resolution(rows).values()
    assert {size: list(runs.index) for size, runs in sizes.items()} == {48: [1, 2], 96: [1, 2]}


def test_an_accuracy_is_the_mean_of_the_epochs_up_to_its_end_and_runs_that_ended_before_have_none(folder):
    runs = Configuration("ai").runs(finish(grid.read(folder), lambda cell: 0.5))
    curve = np.linspace(0, 0.5, 20)
    assert mean_accuracy(runs)[1] == pytest.approx(curve[-10:].mean())
    assert mean_accuracy(runs, end=15)[1] == pytest.approx(curve[5:15].mean())
    assert mean_accuracy(runs, end=20, epochs=1)[1] == 0.5
    assert mean_accuracy(runs, end=21, epochs=1).empty
    assert mean_accuracy(runs, LEAD)[1] == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("with_dropout", "verdict"),
    [
        (lambda seed: 0.60 + seed / 1000, HOLDS),
        (lambda seed: 0.40 + seed / 1000, FAILS),
        (lambda seed: 0.50 + (seed - 2) / 10, OPEN),
    ],
)
def test_a_claim_is_decided_by_an_interval_on_one_side_and_left_open_by_one_across(folder, with_dropout, verdict):
    def end(cell):
        return 0.5 if "model.dropout" in cell.varied else with_dropout(cell.params.seed)

    assert CLAIMS["C6"].finding(finish(grid.read(folder), end)).verdict == verdict


@pytest.mark.parametrize(
    ("mean", "half", "verdict"),
    [
        (0.00, 0.01, HOLDS),
        (0.00, 0.03, OPEN),
        (0.02, 0.01, OPEN),
        (0.04, 0.01, FAILS),
        (-0.04, 0.01, FAILS),
    ],
)
def test_bounds_hold_around_the_whole_interval_and_fail_beyond_all_of_it(mean, half, verdict):
    assert Within(above=-0.02, below=0.02).verdict(Interval(mean, half, 3)) == verdict


@pytest.mark.parametrize("needed", [Within(), Within(above=0), Within(below=0.6), Reaches(0.18, 0.18)])
@pytest.mark.parametrize("values", [[], [0.18]])
def test_fewer_than_two_runs_decide_nothing(needed, values):
    assert needed.verdict(mean_interval(values)) == OPEN


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.17, 0.19], HOLDS),
        ([0.10, 0.11], FAILS),
        ([0.0, 0.20], OPEN),  # so wide that it holds 0.18 and 0
    ],
)
def test_a_published_difference_holds_only_where_the_interval_excludes_none_at_all(values, verdict):
    assert Reaches(0.18, 0.18).verdict(mean_interval(values)) == verdict


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ((HOLDS, HOLDS), HOLDS),
        ((HOLDS, OPEN), OPEN),
        ((OPEN, FAILS), FAILS),
    ],
)
def test_a_claim_of_two_parts_falls_with_one_and_names_both(parts, verdict):
    first, second = (Finding(f"{name}: 0.1", part) for name, part in zip("ab", parts, strict=True))
    claim = Claim("a rule", lambda rows: first, lambda rows: second, note=lambda rows: "and 7")
    finding = claim.finding(pd.DataFrame())
    assert finding.verdict == verdict
    assert re.fullmatch("a: 0.1, .+; b: 0.1, .+; and 7", finding.numbers)


def test_every_published_claim_has_a_rule_and_no_rule_is_without_one():
    assert list(CLAIMS) == list(published.CLAIMS)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_rule_in_words_names_the_bounds_that_decide_it(name):
    for part in CLAIMS[name].parts:
        values = part.keywords.values() if isinstance(part, partial) else part
        for bound in (bound for needed in values if isinstance(needed, Within | Reaches) for bound in needed):
            forms = {f"{bound:g}", f"{bound * 100:g}"}
            assert np.isinf(bound) or forms & set(re.findall(r"\d+(?:\.\d+)?", CLAIMS[name].rule))


@pytest.mark.parametrize(("difference", "verdict"), [(0.23, HOLDS), (0.0, FAILS)])
def test_resolution_is_decided_by_the_published_difference(folder, difference, verdict):
    def end(cell):
        return 0.5 + (cell.params.data.input_size == 96) * (difference + cell.params.seed / 1000)

    assert CLAIMS["C2"].finding(finish(grid.read(folder), end)).verdict == verdict


def test_resolution_is_decided_by_the_largest_size_with_the_most_layers_and_every_size_is_shown(folder):
    (folder / "grid.yaml").write_text("""
data: made-up numbers
params: {dataset: ai2, epochs: 20}
cells:
  - {seed: [1, 2]}
  - {datasets.ai2.input_size: [96, 48], seed: [1, 2]}
  - {conv_layers: 2, datasets.ai2.input_size: [24, 48, 96, 192], seed: [1, 2]}
""")
    ends = {(2, 24): 0.3, (2, 48): 0.4, (2, 96): 0.4, (2, 192): 0.4, (3, 48): 0.4, (3, 96): 0.4, (3, 208): 0.58}

    def end(cell):
        size = cell.params.data.input_size
        return ends[cell.params.conv_layers, size] + (cell.params.seed - 1.5) * size / 1e4

    finding = CLAIMS["C2"].finding(finish(grid.read(folder), end))
    assert finding.verdict == HOLDS
    shown = re.findall(r"(\d) layers, (\d+) minus 48", finding.numbers)
    assert shown == [("2", "24"), ("2", "96"), ("2", "192"), ("3", "96"), ("3", "208")]


def test_hyperparameters_that_have_not_all_been_varied_decide_nothing_by_being_small(folder):
    names = ("train.learning_rate: 0.01", "batch_size: 16", "model.dense_units: 64", "augmentation.zoom: 0.0")
    entries = "".join(f"  - {{dataset: ai, {name}}}\n" for name in names)
    (folder / "grid.yaml").write_text(
        f"data: x\nparams: {{epochs: 20}}\ncells:\n  - {{dataset: ai, seed: [1, 2]}}\n{entries}"
    )
    chosen = grid.read(folder)
    rows = finish(chosen, lambda cell: 0.5 + cell.params.seed / 1000)
    assert CLAIMS["C5"].finding(rows).verdict == FAILS
    assert CLAIMS["C5"].finding(rows.iloc[:-1]).verdict == OPEN


def test_hyperparameters_are_varied_one_at_a_time_and_with_the_layers_of_the_default(folder):
    (folder / "grid.yaml").write_text("""
data: made-up numbers
params: {epochs: 20}
cells:
  - {dataset: ai, seed: [1, 2]}
  - {dataset: ai, batch_size: 16}
  - {dataset: ai, batch_size: 64, train.learning_rate: 0.01}
  - {dataset: ai, conv_layers: 2, batch_size: 64}
""")
    numbers = CLAIMS["C5"].finding(finish(grid.read(folder), lambda cell: 0.5)).numbers
    assert re.findall(r"(\S+) [+-]0\.\d{4}", numbers) == ["batch-size-16-seed1"]


@pytest.mark.parametrize(("lengths", "verdict"), [([10], OPEN), ([10, 30], FAILS)])
def test_which_folder_validated_is_decided_by_the_runs_of_30_epochs(folder, lengths, verdict):
    (folder / "grid.yaml").write_text(f"""
data: made-up numbers
params: {{dataset: ai2}}
cells:
  - {{epochs: {lengths}, seed: [1, 2]}}
  - {{epochs: {lengths}, split.policy: train_folder}}
""")
    chosen = grid.read(folder)
    rows = finish(chosen, lambda cell: 0.5)  # training accuracy is 0.1 more
    for row in rows.itertuples():
        if row.epochs == 30 and "train_folder" in row.varied:
            row.val_accuracy[:] = [value + 0.2 for value in row.val_accuracy]
    assert CLAIMS["C13"].finding(rows).verdict == verdict


def test_without_cells_every_claim_is_open_and_the_page_says_so(folder):
    chosen = grid.read(folder)
    assert {finding.verdict for finding in findings(chosen.rows()).values()} == {OPEN}
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
    for name, finding in findings(chosen.rows()).items():
        assert f"| {name}: " in text
        listed = text.split(f"**{finding.verdict.capitalize()}**")[1].split("**")[0]
        assert f"- {name}: " in listed
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


def test_the_reading_of_what_is_unpublished_is_the_one_nearest_to_each_published_run(folder):
    (folder / "grid.yaml").write_text(
        """
data: made-up numbers
params: {}
cells:
  - {dataset: ai, seed: [1, 2]}
  - {dataset: ai, epochs: 100, seed: [1, 2]}
  - {dataset: ai, model.dense_units: [256, 1024]}
  - {dataset: ai, model.dense_units: 1024, model.dropout_at: dense}
  - {dataset: ai, model.dense_units: 1024, batch_size: 64}
"""
    )

    def end(cell):  # training accuracy at epoch 50 is 0.1 more
        return {256: 0.52, 512: 0.62, 1024: 0.65}[cell.params.model.dense_units] * cell.params.epochs / 50

    rows = finish(grid.read(folder), end)
    quarter = 0.62 * 24 / 49 + 0.1  # training accuracy at epoch 25 of the default
    runs = {
        "one": {25: [quarter + 0.01, 0.6], 50: [0.73, 0.6], 100: [0.1, 0.1]},
        "two": {50: [0.76, 0.6]},
    }
    table = readings(rows, runs)
    assert list(zip(table["dense_units"], table["dropout_at"], table["seeds"], strict=True)) == [
        (512, "flatten", 2), (1024, "dense", 1), (1024, "flatten", 1), (256, "flatten", 1)
    ]  # fmt: skip
    assert table["one"].iloc[0] == pytest.approx(0.01)
    assert table["rise"].iloc[0] == pytest.approx(0.72 - quarter)
    assert table["two"].idxmin() == 1
    page.write(grid.read(folder))
    assert "set 1: 1024 units, dropout at dense" in (folder / "README.md").read_text()
