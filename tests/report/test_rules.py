"""How verdicts come about: intervals, p-values, checks, and the claims' own rules on made-up grids."""

import math
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from src.report import grid, published, simulation
from src.report.claims import CLAIMS
from src.report.rules import FAILS, HOLDS, OPEN, Claim, Comparison, Decision, RisingCost, Within, checks, findings
from src.report.selection import VALIDATION, Accuracy, Configuration, Runs, costs
from src.report.statistics import Conditions, Estimate, Measured, equal_variances, holm

REPOSITORY = Path(__file__).resolve().parents[2]
REAL = grid.read(REPOSITORY / "docs" / "next" / "results")
ONE, OTHER, THIRD = (Configuration("ai", layers) for layers in (1, 2, 3))


def runs(*samples: list[float], noise: float = 0.0, epochs: int = 20) -> Runs:
    """Of networks with one layer, two, ..., of seeds 1, 2, ...: their validation accuracies at every epoch."""
    random = np.random.default_rng(0)
    return Runs(
        pd.DataFrame(
            {
                "name": f"conv{layers}-{seed}",
                "dataset": "ai",
                "conv_layers": layers,
                "seed": seed,
                "epochs": epochs,
                "input_size": 48,
                "varied": "{}",
                "dense_units": "512",
                "dropout_at": "flatten",
                "majority": 0.25,
                "timed": False,
                "accuracy": np.full(epochs, 0.8),
                "val_accuracy": value + noise * random.normal(size=epochs),
            }
            for layers, values in enumerate(samples, 1)
            for seed, value in enumerate(values, 1)
        )
    )


OWN = Conditions(pooled=False)


def test_intervals_are_those_of_the_textbook():
    """Of 1, 2, 3: mean 2, standard deviation 1, t(0.975, 2) = 4.3027."""
    measured = Measured(runs([1, 2, 3]), OWN)
    assert measured.mean(ONE.validation()).half == pytest.approx(4.3027 / 3**0.5, abs=1e-4)
    assert measured.one_more(ONE.validation()).half == pytest.approx(4.3027 * (4 / 3) ** 0.5, abs=1e-4)
    assert Measured(runs([1]), OWN).one_more(ONE.validation()).half == math.inf
    assert Measured(runs([1])).mean(OTHER.validation()).n == 0


def test_differences_and_gains_with_own_variances_are_paired_by_seed():
    measured = Measured(runs([0.5, 0.6, 0.9], [0.4, 0.5]), OWN)
    difference = measured.difference(ONE.validation(), OTHER.validation())
    assert (difference.mean, difference.n) == (pytest.approx(0.1), 2)
    gain = measured.gain(ONE.validation(), OTHER.validation())
    assert (gain.mean, gain.n) == (pytest.approx((0.25 + 0.2) / 2), 2)


def test_pooled_variances_are_those_of_an_analysis_of_variance():
    """Variances 1 and 4 of three each: 2.5 with four degrees of freedom; the difference of two means of three."""
    measured = Measured(runs([1, 2, 3], [6, 8, 10]))
    difference = measured.difference(OTHER.validation(), ONE.validation())
    assert measured.spread(ONE.validation()) == (pytest.approx(2.5), 4, 2)
    assert difference[:3] == (pytest.approx(6), pytest.approx((2.5 * 2 / 3) ** 0.5), 4)
    assert measured.mean(ONE.validation()).error == pytest.approx((2.5 / 3) ** 0.5)


def test_one_run_has_an_interval_where_others_tell_how_runs_vary():
    measured = Measured(runs([1, 2, 3], [6, 8, 10], [5]))
    assert measured.one_more(THIRD.validation()).error == pytest.approx((2.5 * 2) ** 0.5)
    assert Measured(runs([1, 2, 3], [6, 8, 10], [5]), OWN).one_more(THIRD.validation()).error == math.inf


def test_variances_that_differ_are_not_pooled():
    narrow, wide = [0.500, 0.501, 0.502, 0.503, 0.504], [0.3, 0.5, 0.7, 0.9, 0.1]
    assert not equal_variances([pd.Series(narrow), pd.Series(wide)])
    assert Measured(runs(narrow, wide)).spread(ONE.validation()).pooled == 0


def test_the_error_of_a_gain_is_that_of_the_delta_method():
    random = np.random.default_rng(1)
    first, second = random.normal(0.6, 0.02, 5), random.normal(0.5, 0.02, 5)
    gain = Measured(runs(list(first), list(second))).gain(ONE.validation(), OTHER.validation())
    spread = Measured(runs(list(first), list(second))).spread(ONE.validation())
    drawn = random.normal(first.mean(), (spread.variance / 5) ** 0.5, 10**6) / random.normal(
        second.mean(), (spread.variance / 5) ** 0.5, 10**6
    )
    assert gain.error == pytest.approx(drawn.std(), rel=0.01)


def test_a_p_value_is_the_level_of_the_interval_that_ends_at_the_bound():
    estimate = Estimate(0.1, 0.02, 4, 5)
    assert estimate.beyond(estimate.low, above=True) == pytest.approx(0.05)
    assert estimate.beyond(estimate.high, above=False) == pytest.approx(0.05)
    assert estimate.beyond(0.1, above=True) == estimate.beyond(0.2, above=True) == 1


def test_p_values_are_adjusted_as_holm_has_it():
    """The smallest times three, the next times two, and none below one before it."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {"a": 0.03, "c": 0.06, "b": 0.06}


@pytest.mark.parametrize(
    ("mean", "half", "verdict"),
    [(0.00, 0.01, HOLDS), (0.00, 0.03, OPEN), (0.02, 0.01, OPEN), (0.04, 0.01, FAILS), (-0.04, 0.01, FAILS)],
)
def test_bounds_hold_around_the_whole_interval_and_fail_beyond_all_of_it(mean, half, verdict):
    error = half / Estimate(0, 1, 9, 10).half
    decision = Within(above=-0.02, below=0.02).decide("", Estimate(mean, error, 9, 10))
    assert decision.verdict() == verdict
    assert (decision.margin > 0) == (verdict != OPEN)


def test_a_vague_interval_confirms_nothing():
    assert Within(0.30, 0.45).decide("", Estimate(0.37, 0.1, 4, 5)).verdict() == OPEN


class Said:
    """A part that says always the same."""

    def __init__(self, *values: float):
        self.values, self.datasets = values, {"ai"}

    def __call__(self, measured: Measured) -> Decision:
        return Decision("a: 0.1", *self.values)


@pytest.mark.parametrize(
    ("parts", "readings", "verdict"),
    [
        (((0.01, 1), (0.02, 1)), False, HOLDS),
        (((0.01, 1), (1, 1)), False, OPEN),
        (((0.01, 1), (1, 0.02)), False, FAILS),
        (((1, 0.04), (1, 1)), False, OPEN),  # the least of two p-values
        (((0.01, 1), (1, 0.01)), True, OPEN),
        (((1, 0.01), (1, 0.04)), True, FAILS),
        (((0.01, 1), (0.04, 1)), True, HOLDS),
    ],
)
def test_a_claim_of_several_parts_falls_with_one_and_one_of_several_readings_with_all(parts, readings, verdict):
    claim = Claim("a rule", tuple(Said(*values) for values in parts), readings, note=lambda runs: "and 7")
    decision = claim.decision(Measured(runs([1, 2])), frozenset())
    assert decision.verdict() == verdict
    assert re.fullmatch("a: 0.1, .+; a: 0.1, .+; and 7", decision.numbers)


def test_a_part_about_a_set_that_is_not_there_stays_open():
    claim = Claim("a rule", (Said(0.01, 1),))
    assert claim.decision(Measured(runs([1, 2])), frozenset({"ai"})).verdict() == OPEN
    assert claim.decision(Measured(runs([1, 2])), frozenset({"ai2"})).verdict() == HOLDS


ABOVE = {
    "it": Claim(
        "one minus two is above 0",
        (Comparison("", Measured.difference, (ONE.validation(), OTHER.validation()), Within(above=0)),),
    )
}


def test_a_verdict_that_hangs_on_one_seed_is_open_and_says_on_which():
    one = [0.64, 0.60, 0.60, 0.60, 0.60]
    sure, unsure = (findings(ABOVE, runs(one, [value - gap for value in one]))["it"] for gap in (0.1, 0.03))
    assert (sure.verdict, sure.changed) == (HOLDS, ())
    assert unsure.alone == HOLDS
    assert unsure.verdict == OPEN
    assert "it holds (p = " in unsure.changes and "but is open without seed 2" in unsure.changes


def test_a_verdict_that_hangs_on_the_window_is_open():
    def made(epochs_below: int) -> Runs:
        made = runs([0.64, 0.65, 0.66], [0.50, 0.51, 0.52])
        for group in made.groups.values():
            if group.configuration == ONE:
                group.curve(VALIDATION)[:, -epochs_below:] -= 0.25
        return made

    assert findings(ABOVE, made(20))["it"].verdict == FAILS
    assert findings(ABOVE, made(1))["it"].verdict == HOLDS
    assert "with means of 5 epochs" in findings(ABOVE, made(4))["it"].changed


def test_a_verdict_that_only_pooling_gives_is_open():
    other = [[0.5 + 0.01 * number, 0.501 + 0.01 * number] for number in range(4)]
    found = findings(ABOVE, runs([0.600, 0.604], [0.592, 0.590], *other))["it"]
    assert found.alone == HOLDS
    assert found.verdict == OPEN
    assert "with each configuration's own variance" in found.changed


def test_every_seed_is_left_out_once():
    assert [check.without for check in checks(runs([1, 2, 3], [1, 2])).values() if check.without] == [1, 2, 3]


def test_costs_are_judged_for_every_reading_and_kind():
    def cost(*readings: tuple[int, ...]) -> str:
        table = {str(number): dict(enumerate(values, 1)) for number, values in enumerate(readings)}
        return RisingCost(lambda runs: table, "ai")(Measured(runs([1, 2]))).verdict()

    assert cost((1, 2, 3), (4, 5, 6)) == HOLDS
    assert cost((1, 2, 2), (4, 3, 6)) == FAILS
    assert cost((1, 2, 3), (4, 3, 6)) == OPEN
    assert cost() == cost((1,)) == OPEN
    assert costs(runs([1, 2])) == {}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_rule_in_words_names_the_bounds_that_decide_it(name):
    for part in CLAIMS[name].parts:
        fields: dict[str, Any] = cast(Any, part)._asdict()
        within = [bound for value in fields.values() if isinstance(value, Within) for bound in value]
        for bound in [*within, *(fields[field] for field in ("large", "times") if field in fields)]:
            forms = {f"{bound:g}", f"{bound * 100:g}"}
            assert math.isinf(bound) or forms & set(re.findall(r"\d+(?:\.\d+)?", CLAIMS[name].rule))


@pytest.mark.parametrize("world", simulation.WORLDS)
def test_each_rule_says_what_is_true_where_hardly_anything_is_left_to_luck(world):
    made = simulation.rows(REAL, world, np.random.default_rng(0), noise=0.05)
    found = findings(CLAIMS, Runs(made))
    for name, truth in world.truth.items():
        if truth != simulation.EDGE:
            assert found[name].verdict == truth, (name, found[name])


def test_every_rule_can_hold_and_can_fail():
    told = {(name, truth) for world in simulation.WORLDS for name, truth in world.truth.items()}
    assert {(name, truth) for name in CLAIMS if name != "C10" for truth in (HOLDS, FAILS)} <= told


def test_a_simulation_is_the_same_again_and_stands_on_the_page(tmp_path):
    chosen = grid.read(REPOSITORY / "report")._replace(folder=tmp_path)
    simulation.simulate(chosen, 1)
    first = (tmp_path / simulation.NAME).read_bytes()
    simulation.simulate(chosen, 1)
    assert (tmp_path / simulation.NAME).read_bytes() == first
    assert "1 made-up grids of these cells" in simulation.section(tmp_path)
    table = pd.read_csv(tmp_path / simulation.NAME)
    assert (table[[HOLDS, FAILS, OPEN]].sum(axis=1) == table["grids"]).all()


def test_a_run_is_told_from_others_by_all_its_epochs_together():
    """Two epochs that go together: a run high in one and low in the other is an odd one, in neither alone."""
    random = np.random.default_rng(2)
    levels = random.normal(0.6, 0.01, 12)
    made = runs(list(levels[:6]), list(levels[6:]), noise=0.001)
    middle = float(levels[:6].mean())
    usual = published.joint(made, ONE, VALIDATION, {10: middle + 0.01, 20: middle + 0.01})
    odd = published.joint(made, ONE, VALIDATION, {10: middle + 0.01, 20: middle - 0.01})
    assert usual > 0.05 > odd
    assert math.isnan(published.joint(made, ONE, VALIDATION, {21: 0.6}))
    assert math.isnan(published.joint(runs([0.6, 0.61]), ONE, VALIDATION, {10: 0.6, 20: 0.6}))


def test_what_is_published_stands_beside_how_far_off_it_is():
    random = np.random.default_rng(3)
    made = runs(*(list(random.normal(0.6, 0.005, 5)) for _ in range(3)), epochs=50)
    table = published.comparison(made)
    line = table[(table["run"] == "set 1") & (table["of"] == "validation")].iloc[0]
    single = Measured(made, Conditions(window=1)).spread(Accuracy(THIRD, VALIDATION, 50))
    mean = float(line["measured at that epoch"])
    assert float(line["off by standard deviations"]) == pytest.approx((0.6047 - mean) / single.variance**0.5, abs=0.06)
    assert set(table[table["run"] == "set 3"]["published inside"]) == {"cannot be said"}
