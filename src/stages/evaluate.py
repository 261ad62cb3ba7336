"""Stage 5: model and arrays -> metrics/eval.json, metrics/confusion.csv, data/predictions/<dataset>.csv."""

from pathlib import Path

import numpy as np
import pandas as pd

from src import experiment, tracking
from src.dataset import arrays, scores
from src.files import write_csv, write_json
from src.params import Params
from src.stages import run


def main(params: Params) -> None:
    from src.training import runtime

    runtime.configure(params.threads, params.portable)
    from src.model import saved
    from src.training import batches
    from src.training.checkpoint import Checkpoints

    labels = list(params.data.labels)
    folder = Path("data/arrays") / params.dataset
    split = arrays.scored_split(folder)
    images, actual = arrays.load(folder, split)
    model = saved.load(Path("models/model.h5"))
    probabilities = model.predict(batches.scoring(images, actual, len(labels)), verbose=0)

    majority = int(np.bincount(arrays.load(folder, "train")[1]).argmax())
    results = {
        "dataset": params.dataset,
        "source": params.source,
        "split": split,
        **scores.metrics(actual, probabilities, labels, majority),
    }
    write_json(Path("metrics/eval.json"), results)
    counts = scores.confusion(actual, probabilities.argmax(axis=1), labels)
    table = pd.DataFrame(counts, columns=labels)
    table.insert(0, "actual", labels)
    table["source"] = params.source
    write_csv(Path("metrics/confusion.csv"), table)
    index = pd.read_csv(folder / "index.csv", dtype=str, keep_default_na=False)
    members = index.loc[index["split"] == split, "member"]
    write_csv(
        Path("data/predictions") / f"{params.dataset}.csv", scores.predictions(members, actual, probabilities, labels)
    )
    key = experiment.key(params)
    with tracking.open_run(params, key) as tracked:
        tracked.log_outputs("evaluate")
    # Only now: as long as DVC has not taken over what train wrote, a crash may bring train back.
    Checkpoints(key).remove()


if __name__ == "__main__":
    run(main)
