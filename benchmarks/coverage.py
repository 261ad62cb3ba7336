"""Accuracy on what is kept of the test folder of FER-2013 (split.policy=clean) as more and more is expelled: by the
score of the network that knows usable faces, by the classifier's own confidence, and at random. Agreement with the
label of the folder / with what more than half of the crowd sees. The classifier is the report's network after one cycle
of 12 epochs.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.epoch import folder_for
from benchmarks.prepare import HERE, run_stage
from benchmarks.target import ONE_CYCLE
from src.core import arrays, votes
from src.core.files import ARRAYS, VOTES
from src.usable import USABLE

SHARES = (1.0, 0.98, 0.95, 0.9, 0.8, 0.6)  # that are kept


def measure(folder: Path) -> pd.DataFrame:
    folder_for(folder, **ONE_CYCLE, **{"split.policy": "clean"})
    run_stage(folder, "train")
    from src.core import runtime

    runtime.configure(portable=True)
    from src.model import inputs, saved
    from src.usable import network

    model, told = saved.load(folder / "models/model.h5")
    index = pd.read_csv(folder / ARRAYS / "index.csv")
    index = index[index["split"] == "test"].reset_index(drop=True)
    images, positions = arrays.load(folder / ARRAYS, "test")
    count = inputs.at_once(*images.shape[:2])
    said = np.concatenate(
        [inputs.probabilities(model, images[start : start + count]) for start in range(0, len(images), count)]
    )
    guessed = said.argmax(axis=1)
    seen = votes.majority(pd.read_csv(folder / VOTES), index["member"])
    crowd = seen.map({label: number for number, label in enumerate(told.labels)}).to_numpy()
    orders = {
        "usable": network.scores(network.load(HERE / USABLE), list(images)),
        "own confidence": said.max(axis=1),
        "at random": np.random.default_rng(0).random(len(images)),
    }
    table = []
    for share in SHARES:
        row = {"kept": f"{share:.0%}"}
        for what, scores in orders.items():
            kept = np.argsort(-scores, kind="stable")[: round(share * len(images))]
            known = kept[~np.isnan(crowd[kept])]
            ours, theirs = np.mean(guessed[kept] == positions[kept]), np.mean(guessed[known] == crowd[known])
            row[what] = f"{ours:.3f} / {theirs:.3f}"
        table.append(row)
    return pd.DataFrame(table)
