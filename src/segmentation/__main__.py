"""Stage: drawn faces with their masks -> models/segmentation.npy, the network that finds eyes and mouths, and how well
its masks fit on drawn faces that it has not seen, metrics/segmentation.json."""

from pathlib import Path

import numpy as np

from src import command, progress, weights
from src.core import runtime
from src.core.files import write_json
from src.params import Params
from src.segmentation import PARTS, SEGMENTATION

BATCH = 64
RATE = 4e-3  # of Adam, down to 0 along a cosine
METRICS = Path("metrics/segmentation.json")


def main(params: Params) -> None:
    runtime.configure(portable=True)  # whatever the params say that train and evaluate follow
    import keras

    from src.segmentation import examples, network

    chosen = params.segmentation
    pictures, parts = examples.examples(chosen.faces, chosen.seed)
    unseen, actual = examples.examples(max(2, chosen.faces // 10), chosen.seed + 1)
    keras.utils.set_random_seed(chosen.seed)
    model = network.build()
    steps = -(-len(pictures) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps * chosen.epochs)
    model.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(chosen.seed)
    for _ in progress.bar(range(chosen.epochs), "train", unit="epoch"):
        for rows in np.array_split(rng.permutation(len(pictures)), steps):
            model.train_on_batch(pictures[rows][..., None].astype(np.float32) / 255, parts[rows])
    weights.save(model, SEGMENTATION)
    found = network.probabilities(model, list(unseen)).argmax(axis=-1)
    overlap = {}
    for number, name in enumerate(PARTS):
        either = ((found == number) | (actual == number)).sum()
        both = ((found == number) & (actual == number)).sum()
        overlap[name] = round(float(both / either), 4) if either else None
    write_json(METRICS, {"images": len(pictures), "parameters": model.count_params(), "overlap": overlap})


if __name__ == "__main__":
    command.stage("segmentation", main)
