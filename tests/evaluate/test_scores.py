"""Scores against examples small enough to work out by hand."""

import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest

from src.evaluate import scores

ACTUAL = np.array([0, 0, 1, 1], np.uint8)
PROBABILITIES = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])


def test_scores_of_two_labels():
    result = scores.metrics(ACTUAL, PROBABILITIES, ["happy", "sad"], majority=1)
    assert result["images"] == 4
    assert result["accuracy"] == 3 / 4
    assert result["loss"] == pytest.approx(-(math.log(0.9) + math.log(0.4) + math.log(0.8) + math.log(0.7)) / 4)
    assert result["labels"]["happy"] == pytest.approx({"precision": 1, "recall": 1 / 2, "f1": 2 / 3, "images": 2})
    assert result["labels"]["sad"] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 4 / 5, "images": 2})
    assert result["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_a_label_that_does_not_occur_counts_as_zero():
    wider = np.column_stack([PROBABILITIES, np.full(4, 1e-9)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = scores.metrics(ACTUAL, wider, ["happy", "sad", "fear"], majority=0)
    assert result["labels"]["fear"] == {"precision": 0, "recall": 0, "f1": 0, "images": 0}
    assert result["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)


@pytest.mark.parametrize(("majority", "baseline"), [(0, 1 / 5), (1, 3 / 5), (2, 1 / 5)])
def test_the_baseline_always_answers_the_majority_of_the_training_part(majority, baseline):
    actual = np.array([1, 0, 1, 2, 1])
    result = scores.metrics(actual, np.full((5, 3), 1 / 3), ["a", "b", "c"], majority)
    assert result["majority_baseline"] == pytest.approx(baseline)


@pytest.mark.parametrize("chance", [1e-6, 1e-9, 1e-12])
def test_a_confident_mistake_costs_what_it_costs(chance):
    probabilities = np.array([[1 - chance, chance]], np.float32)  # single precision, as the network gives it
    loss = scores.metrics(np.array([1]), probabilities, ["happy", "sad"], majority=0)["loss"]
    assert loss == pytest.approx(-math.log(chance), rel=1e-6)


def test_rows_that_add_up_to_one_only_nearly_are_scored_without_a_warning():
    rows = np.random.default_rng(0).dirichlet(np.ones(7), 500).astype(np.float32) * np.float32(1.00001)
    actual = np.arange(500) % 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = scores.metrics(actual, rows, list("abcdefg"), majority=0)["loss"]
    exact = rows.astype(float) / rows.astype(float).sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.log(exact[np.arange(500), actual]).mean())


def test_scoring_leaves_the_probabilities_as_they_are():
    rows = PROBABILITIES * 2
    scores.metrics(ACTUAL, rows, ["happy", "sad"], majority=0)
    np.testing.assert_array_equal(rows, PROBABILITIES * 2)


def test_the_scores_can_be_written_as_json():
    result = scores.metrics(ACTUAL, PROBABILITIES.astype(np.float32), ["happy", "sad"], majority=0)
    assert json.loads(json.dumps(result)) == result


def test_the_confusion_matrix_has_the_true_label_in_its_rows():
    actual, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 1, 1, 0])
    table = scores.confusion(actual, predicted, ["happy", "sad", "fear"])
    assert table.to_numpy().tolist() == [["happy", 1, 2, 0], ["sad", 1, 1, 0], ["fear", 0, 0, 0]]


def test_predictions_name_the_image_its_labels_and_every_probability():
    members = pd.Series(
        ["test/happy/a.jpg", "test/happy/b.jpg", "test/sad/c.jpg", "test/sad/d.jpg"], index=[9, 4, 7, 2]
    )
    table = scores.predictions(members, ACTUAL, PROBABILITIES, ["happy", "sad"])
    assert list(table.columns) == ["member", "actual", "predicted", "happy", "sad"]
    assert table.to_numpy().tolist() == [
        ["test/happy/a.jpg", "happy", "happy", 0.9, 0.1],
        ["test/happy/b.jpg", "happy", "sad", 0.4, 0.6],
        ["test/sad/c.jpg", "sad", "sad", 0.2, 0.8],
        ["test/sad/d.jpg", "sad", "sad", 0.3, 0.7],
    ]


def test_the_crowd_is_asked_where_more_than_half_of_it_agrees():
    seen = pd.Series(["happy", np.nan, "sad", np.nan, "happy"], index=[3, 1, 4, 2, 0], dtype=object)
    filed = np.array(["happy", "happy", "happy", "happy", "sad"])
    found = scores.crowd(seen, filed, np.array(["sad", "happy", "sad", "happy", "happy"]))
    assert found == {"images": 3, "accuracy": 2 / 3, "filed_labels": 1 / 3}


def test_without_votes_there_is_no_crowd():
    filed = np.array(["happy", "sad"])
    assert scores.crowd(pd.Series([np.nan, np.nan], dtype=object), filed, filed) == {}
