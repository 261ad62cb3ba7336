"""Stage 5: model and arrays -> metrics, models/calibration.json, data/predictions.csv, data/gradcam.npy."""

from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from src import experiment, tracking
from src.dataset import arrays, scores
from src.files import ARRAYS, GRADCAM, MODEL, PREDICTIONS, RAW, replacing, write_csv, write_json
from src.params import Params
from src.stages import run

SHOWN = 4  # correct and wrong predictions each that get a heat map


def main(params: Params) -> None:
    from src.training import runtime

    runtime.configure(params.portable, params.device)
    from src.model import calibration, gradcam, saved
    from src.training import batches
    from src.training.checkpoint import Checkpoints

    labels = list(params.data.labels)
    model, _ = saved.load(MODEL)

    def predict(split: str) -> tuple[np.ndarray, np.ndarray]:
        images, actual = arrays.load(ARRAYS, split)
        return actual, model.predict(batches.scoring(images, actual, len(labels)), verbose=0)

    split, validation = arrays.scored_split(ARRAYS), arrays.validation_split(ARRAYS)
    actual, probabilities = predict(split)
    if validation == split:  # one part is left of the data: fitted on folds of it
        temperature = calibration.fit(actual, probabilities)
        temperatures = calibration.cross_fitted(actual, probabilities, params.seed)
    else:
        temperature = calibration.fit(*predict(validation))
        temperatures = np.full(len(actual), temperature)
    calibration.save(MODEL, temperature)

    majority = int(np.bincount(arrays.load(ARRAYS, "train")[1]).argmax())
    results = {
        "dataset": params.dataset,
        "source": params.source,
        "split": split,
        **scores.metrics(actual, probabilities, labels, majority),
        "calibration": calibration.metrics(actual, probabilities, temperature, temperatures),
    }
    index = pd.read_csv(ARRAYS / "index.csv", dtype=str, keep_default_na=False)
    members = index.loc[index["split"] == split, "member"]
    if params.evaluate.rotations:
        results["rotations"] = _rotations(params, members.to_list(), actual, model)
    write_json(Path("metrics/eval.json"), results)
    counts = scores.confusion(actual, probabilities.argmax(axis=1), labels)
    table = pd.DataFrame(counts, columns=labels)
    table.insert(0, "actual", labels)
    table["source"] = params.source
    write_csv(Path("metrics/confusion.csv"), table)

    table = scores.predictions(members, actual, probabilities, labels)
    table["temperature"] = temperatures
    write_csv(PREDICTIONS, table)

    images, _ = arrays.load(ARRAYS, split)
    rows = _shown(table, np.random.default_rng(params.seed))
    maps = gradcam.heat_maps(model, images[rows])
    # One array, not a zip of two: how Python writes a zip's headers changes between its patch releases.
    shown = np.empty(len(rows), [("row", np.int64), ("map", maps.dtype, maps.shape[1:])])
    shown["row"], shown["map"] = rows, maps
    with replacing(GRADCAM) as temporary, temporary.open("wb") as file:
        np.save(file, shown)

    key = experiment.key(params)
    tracking.log_stage(params, key, "evaluate")
    # Only now: as long as DVC has not taken over what train wrote, a crash may bring train back.
    Checkpoints(key).remove()


def _rotations(params: Params, members: list[str], actual: np.ndarray, model) -> dict[str, float]:
    """Accuracy on the scored images, turned by each angle before they are aligned (if they are) and resized."""
    from src.faces import rotation
    from src.faces.alignment import Straightener

    archive, how, size = RAW, params.preprocess, params.data.input_size
    straighten = Straightener(size) if how.align == "eyes" else None
    accuracy = {}
    for angle in tqdm(params.evaluate.rotations, unit="rotation"):
        batches = rotation.batches(archive, members, angle, straighten, size, how.interpolation)
        answers = [
            model.predict_on_batch(batch[..., None].astype(np.float32) / 255).argmax(axis=1) for batch in batches
        ]
        accuracy[str(angle)] = float((np.concatenate(answers) == actual).mean())
    return accuracy


def _shown(table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Rows of correct predictions, then of wrong ones, as many of each as there are, up to SHOWN."""
    correct = (table["actual"] == table["predicted"]).to_numpy()
    groups = [np.flatnonzero(correct), np.flatnonzero(~correct)]
    return np.concatenate([np.sort(rng.choice(group, min(SHOWN, len(group)), replace=False)) for group in groups])


if __name__ == "__main__":
    run(main)
