"""How sure the network may be of its answers: temperature scaling and what it is worth.

Guo et al., 2017, "On Calibration of Modern Neural Networks": the logits are divided by one number, the temperature,
that gives held-out data the highest likelihood. It changes no answer, only how sure the network is of it.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.model_selection import KFold

from src.core.files import digest, write_json
from src.errors import UserError
from src.params import Section, described

NAME = "calibration.json"
BINS = 15  # as in Guo et al.
FOLDS = 5
DIGITS = 4  # of a temperature; more are not known, and would differ between CPUs
RANGE = (0.05, 20.0)
LONGEST = 10_000  # bytes of calibration.json, which has 120


class Calibration(Section):
    """models/calibration.json: what belongs to a model, and to which."""

    model_sha256: str
    temperature: Annotated[float, Field(ge=RANGE[0], le=RANGE[1])]


def save(model: Path, temperature: float) -> None:
    """Writes calibration.json beside `model`."""
    content = Calibration(model_sha256=digest(model), temperature=temperature)
    write_json(model.with_name(NAME), content.model_dump(mode="json"))


def load(model: Path) -> float:
    """The temperature of `model`, from calibration.json beside it.

    Raises:
        UserError: there is none, or it is another model's.
    """
    path = model.with_name(NAME)
    try:
        with path.open("rb") as file:
            content = Calibration.model_validate_json(file.read(LONGEST))
    except (OSError, ValueError) as error:
        why = "; ".join(described(error)) if isinstance(error, ValidationError) else error
        raise UserError(f"{path} cannot be read; make it: dvc repro ({why})") from error
    if content.model_sha256 != digest(model):
        raise UserError(f"{path} belongs to another model than {model}; make it again: dvc repro")
    return content.temperature


def metrics(
    actual: np.ndarray, probabilities: np.ndarray, temperature: float, temperatures: np.ndarray
) -> dict[str, float]:
    """Expected calibration error before and after, and the loss after; `temperatures` (n,) are fair to each row."""
    after = tempered(probabilities, temperatures)
    correct = probabilities.argmax(axis=1) == actual
    values = {
        "temperature": temperature,
        "error_before": error(correct, probabilities.max(axis=1)),
        "error_after": error(correct, after.max(axis=1)),
        "loss_after": _loss(actual, after),
    }
    # NumPy's logarithm differs between CPUs in the last digits.
    return {name: round(value, 6) for name, value in values.items()}


def tempered(probabilities: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """softmax(logits) -> softmax(logits / temperature), (n, labels); `temperature` is one number or one per row."""
    tiny = np.finfo(np.float32).tiny  # a float32 softmax gives 0 for what it cannot hold
    logits = np.log(np.maximum(probabilities.astype(np.float64), tiny))
    return softmax(logits / np.reshape(temperature, (-1, 1)), axis=1)


def fit(actual: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature that makes the labels `actual` (n,) likeliest under `probabilities` (n, labels)."""

    def loss(logarithm: float) -> float:
        return _loss(actual, tempered(probabilities, np.exp(logarithm)))

    found = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded")
    return round(float(np.exp(found.x)), DIGITS)


def _loss(actual: np.ndarray, probabilities: np.ndarray) -> float:
    """Cross-entropy of the labels `actual` (n,); one that has no probability at all costs 708, not infinity."""
    given = probabilities[np.arange(len(actual)), actual]
    return -float(np.log(np.maximum(given, np.finfo(np.float64).tiny)).mean())


def cross_fitted(actual: np.ndarray, probabilities: np.ndarray, seed: int) -> np.ndarray:
    """A temperature per row (n,), fitted on the other folds, never on the row itself; 1 where there is no other."""
    if len(actual) < 2:
        return np.ones(len(actual))
    temperatures = np.empty(len(actual))
    folds = KFold(min(FOLDS, len(actual)), shuffle=True, random_state=seed)
    for rest, held_out in folds.split(probabilities):
        temperatures[held_out] = fit(actual[rest], probabilities[rest])
    return temperatures


def reliability(correct: np.ndarray, confidence: np.ndarray) -> pd.DataFrame:
    """Per bin of confidence that holds images: its mean confidence, the share that is correct, number of images."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    table = pd.DataFrame({"bin": bins, "confidence": confidence, "accuracy": correct.astype(float), "images": 1})
    return table.groupby("bin").agg({"confidence": "mean", "accuracy": "mean", "images": "sum"}).reset_index()


def error(correct: np.ndarray, confidence: np.ndarray) -> float:
    """Expected calibration error: |accuracy - confidence| of the bins, weighted by their images."""
    table = reliability(correct, confidence)
    return float(np.average((table["accuracy"] - table["confidence"]).abs(), weights=table["images"]))
