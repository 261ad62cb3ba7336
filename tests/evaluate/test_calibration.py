import json

import numpy as np
import pytest
from scipy.special import softmax

from src.core.files import digest, write_json
from src.errors import UserError
from src.evaluate import calibration, scores


def overconfident(factor: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(logits), and the probabilities of a network that takes the logits `factor` times."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(count, 5))
    labels = np.array([rng.choice(5, p=p) for p in softmax(logits, axis=1)])
    return labels, softmax(factor * logits, axis=1).astype(np.float32)


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_the_temperature_undoes_overconfidence(factor):
    actual, probabilities = overconfident(factor)
    temperature = calibration.fit(actual, probabilities)
    assert temperature == pytest.approx(factor, rel=0.05)
    correct = probabilities.argmax(axis=1) == actual
    after = calibration.tempered(probabilities, temperature)
    assert calibration.error(correct, after.max(axis=1)) < 0.02
    if factor != 1:
        assert calibration.error(correct, probabilities.max(axis=1)) > 0.05


def test_it_changes_no_answer():
    _, probabilities = overconfident(2, 500)
    for temperature in (0.3, 1, 7):
        tempered = calibration.tempered(probabilities, temperature)
        np.testing.assert_array_equal(tempered.argmax(axis=1), probabilities.argmax(axis=1))
        np.testing.assert_allclose(tempered.sum(axis=1), 1)
    np.testing.assert_allclose(calibration.tempered(probabilities, 1), probabilities, rtol=1e-5)


def test_a_probability_of_nothing_is_no_error():
    tempered = calibration.tempered(np.array([[1, 0, 0]], np.float32), 2)
    assert np.isfinite(tempered).all()
    assert 0 < calibration.fit(np.array([1, 0]), np.array([[1, 0], [1, 0]], np.float32)) < np.inf


@pytest.mark.parametrize(
    ("actual", "probabilities"),
    [
        pytest.param([0], [[1, 0]], id="one image, right"),
        pytest.param([1], [[1, 0]], id="one image, wrong and certain"),
        pytest.param([0, 1], [[0.5, 0.5]] * 2, id="nothing known"),
        pytest.param([1] * 3, [[1, 0]] * 3, id="always wrong and certain"),
        # Fitted on the others, a temperature is as low as can be, and then this one is infinitely unlikely.
        pytest.param([0] * 9 + [1], [[0.9, 0.1]] * 9 + [[1, 0]], id="one wrong and certain"),
        pytest.param([0, 1] * 5, [[0.6, 0.3, 0.1], [0.3, 0.6, 0.1]] * 5, id="a label without images"),
    ],
)
def test_whatever_a_network_says_its_scores_are_numbers(tmp_path, actual, probabilities):
    actual, probabilities = np.array(actual), np.array(probabilities, np.float32)
    temperature = calibration.fit(actual, probabilities)
    for temperatures in (
        calibration.cross_fitted(actual, probabilities, seed=1),
        np.full(len(actual), temperature),
        np.full(len(actual), calibration.RANGE[0]),  # fitted on other images
    ):
        labels = ["a", "b", "c"][: probabilities.shape[1]]
        found = calibration.metrics(actual, probabilities, temperature, temperatures)
        write_json(tmp_path / "eval.json", {"calibration": found, **scores.metrics(actual, probabilities, labels, 0)})
        assert found["loss_after"] < 1000
    model = tmp_path / "model.h5"
    model.write_bytes(b"")
    calibration.save(model, temperature)
    assert calibration.load(model) == temperature


def test_a_row_s_temperature_does_not_depend_on_its_own_label():
    actual, probabilities = overconfident(3, 200)
    before = calibration.cross_fitted(actual, probabilities, seed=1)
    for row in (0, 57, 199):
        changed = actual.copy()
        changed[row] = (changed[row] + 1) % 5
        after = calibration.cross_fitted(changed, probabilities, seed=1)
        assert after[row] == before[row]
        assert (after != before).any()


def test_the_calibration_error_is_the_one_of_the_paper():
    confidence = np.array([0.90, 0.92, 0.92, 0.55, 0.55])
    correct = np.array([True, True, False, False, True])
    # Bins of 1/15: 0.867 to 0.933 holds three, with accuracy 2/3 and confidence 0.9133; 0.533 to 0.6 the others.
    expected = 3 / 5 * abs(2 / 3 - 0.9133333) + 2 / 5 * abs(1 / 2 - 0.55)
    assert calibration.error(correct, confidence) == pytest.approx(expected, abs=1e-6)
    assert calibration.reliability(correct, confidence)["images"].tolist() == [2, 3]
    assert calibration.error(np.array([True]), np.array([1.0])) == 0


def test_a_temperature_belongs_to_one_model(tmp_path):
    model = tmp_path / "model.h5"
    model.write_bytes(b"one")
    with pytest.raises(UserError, match=r"calibration\.json cannot be read; make it: dvc repro"):
        calibration.load(model)
    calibration.save(model, 1.5)
    assert calibration.load(model) == 1.5
    model.write_bytes(b"another")
    with pytest.raises(UserError, match="belongs to another model"):
        calibration.load(model)


@pytest.mark.parametrize(
    "temperature", ["-1", "0", "NaN", "Infinity", "-Infinity", "1e-320", "1e400", '"1"', "null", "true", "[" * 10**5]
)
def test_a_temperature_that_none_can_be_is_one_line(tmp_path, temperature):
    model = tmp_path / "model.h5"
    model.write_bytes(b"one")
    content = json.dumps({"model_sha256": digest(model), "temperature": 7}).replace("7}", f"{temperature}}}")
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(UserError, match=r"calibration\.json cannot be read; make it: dvc repro \(") as raised:
        calibration.load(model)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b" " * 10**8])
def test_another_kind_of_file_is_no_calibration(tmp_path, content):
    (tmp_path / "model.h5").write_bytes(b"one")
    (tmp_path / "calibration.json").write_bytes(content)
    with pytest.raises(UserError, match=r"calibration\.json cannot be read; make it: dvc repro \(") as raised:
        calibration.load(tmp_path / "model.h5")
    assert len(str(raised.value).splitlines()) == 1
