"""Stage 5: model and arrays -> metrics, models/calibration.json, data/predictions.csv, data/gradcam.npy."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from src import command, identity, progress, tracking
from src.core import arrays, files, votes
from src.core.files import ARRAYS, GRADCAM, MODEL, PREDICTIONS, RAW, VOTES, replacing, write_csv, write_json
from src.evaluate import scores
from src.params import Params, load

if TYPE_CHECKING:
    import keras

SHOWN = 4  # correct and wrong predictions each that get a heat map


def main(params: Params) -> None:
    from src.core import runtime

    runtime.configure(params.portable, params.device)
    from src.evaluate import calibration
    from src.model import saved

    labels = list(params.data.labels)
    model, _ = saved.load(MODEL)
    split = arrays.scored_split(ARRAYS)
    actual, probabilities = _predict(model, split, len(labels))
    temperature, temperatures = _temperatures(params, model, split, actual, probabilities)
    calibration.save(MODEL, temperature)

    index = pd.read_csv(ARRAYS / "index.csv", dtype=str, keep_default_na=False)
    members = index.loc[index["split"] == split, "member"]
    trained = index.loc[index["split"] == "train", "label"].value_counts()
    majority = int(trained.reindex(labels, fill_value=0).argmax())
    results = {
        "dataset": params.dataset,
        "source": params.source,
        "split": split,
        **scores.metrics(actual, probabilities, labels, majority),
        "calibration": calibration.metrics(actual, probabilities, temperature, temperatures),
    }
    seen, names = votes.majority(pd.read_csv(VOTES), members), np.array(labels)
    if crowd := scores.crowd(seen, names[actual], names[probabilities.argmax(axis=1)]):
        results["crowd"] = crowd
    if params.evaluate.rotations:
        results["rotations"] = _rotations(params, members.to_list(), actual, model)
    write_json(Path("metrics/eval.json"), results)
    trained = json.loads(Path("metrics/train.json").read_text(encoding="utf-8"))
    write_json(Path("metrics/scores.json"), scores.summary(results, trained))
    confusion = scores.confusion(actual, probabilities.argmax(axis=1), labels)
    write_csv(Path("metrics/confusion.csv"), confusion.assign(source=params.source))
    predictions = scores.predictions(members, actual, probabilities, labels).assign(temperature=temperatures)
    write_csv(PREDICTIONS, predictions)
    _write_heat_maps(model, split, _shown(predictions, np.random.default_rng(params.seed)))

    key = identity.of("train").key
    tracking.log_stage(load(), key, "evaluate")
    # Only now: as long as DVC has not taken over what train wrote, a crash may bring train back.
    files.remove_checkpoints(key)


def _predict(model: "keras.Model", split: str, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """The true labels (n,) of a split and the network's probabilities (n, labels)."""
    from src.model import inputs

    images, actual = arrays.load(ARRAYS, split)
    return actual, model.predict(inputs.scoring(images, actual, labels), verbose=0)


def _temperatures(
    params: Params, model: "keras.Model", split: str, actual: np.ndarray, probabilities: np.ndarray
) -> tuple[float, np.ndarray]:
    """The model's temperature, and for each scored image (n,) one that was fitted without it."""
    from src.evaluate import calibration

    validation = arrays.validation_split(ARRAYS)
    if validation == split:  # one part is left of the data: fitted on folds of it
        return calibration.fit(actual, probabilities), calibration.cross_fitted(actual, probabilities, params.seed)
    temperature = calibration.fit(*_predict(model, validation, probabilities.shape[1]))
    return temperature, np.full(len(actual), temperature)


def _rotations(params: Params, members: list[str], actual: np.ndarray, model: "keras.Model") -> dict[str, float]:
    """Accuracy on the scored images, turned by each angle before they are aligned (if they are) and resized."""
    from src.evaluate import rotation
    from src.faces.alignment import straightener
    from src.model import inputs

    size = params.data.input_size
    straighten = straightener(params.preprocess.align, size)
    accuracy = {}
    for angle in progress.bar(params.evaluate.rotations, unit="rotation"):
        batches = rotation.batches(RAW, members, angle, straighten, size, params.preprocess.interpolation)
        answers = [inputs.probabilities(model, batch).argmax(axis=1) for batch in batches]
        accuracy[str(angle)] = float((np.concatenate(answers) == actual).mean())
    return accuracy


def _shown(table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Rows of correct predictions, then of wrong ones, as many of each as there are, up to SHOWN."""
    correct = (table["actual"] == table["predicted"]).to_numpy()
    groups = [np.flatnonzero(correct), np.flatnonzero(~correct)]
    return np.concatenate([np.sort(rng.choice(group, min(SHOWN, len(group)), replace=False)) for group in groups])


def _write_heat_maps(model: "keras.Model", split: str, rows: np.ndarray) -> None:
    """data/gradcam.npy: of these rows of the scored split, row and map."""
    from src.evaluate import gradcam

    images, _ = arrays.load(ARRAYS, split)
    maps = gradcam.heat_maps(model, images[rows])
    # One array, not a zip of two: how Python writes a zip's headers changes between its patch releases.
    shown = np.empty(len(rows), [("row", np.int64), ("map", maps.dtype, maps.shape[1:])])
    shown["row"], shown["map"] = rows, maps
    with replacing(GRADCAM) as temporary, temporary.open("wb") as file:
        np.save(file, shown)


if __name__ == "__main__":
    command.stage("evaluate", main)
