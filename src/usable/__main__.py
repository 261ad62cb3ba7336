"""Stage: drawn pictures -> models/usable.npy, the network that tells usable faces from what is none, and how well it
does on drawn pictures that it has not seen, metrics/usable.json."""

from pathlib import Path

import numpy as np

from src import command, progress, weights
from src.core import runtime
from src.core.files import write_json
from src.params import Params
from src.usable import USABLE

BATCH = 64
METRICS = Path("metrics/usable.json")


def main(params: Params) -> None:
    runtime.configure(portable=True)  # whatever the params say that train and evaluate follow
    import keras
    from sklearn.metrics import roc_auc_score

    from src.usable import examples, network

    chosen = params.usable
    pictures, kinds = examples.examples(chosen.faces, chosen.seed)
    unseen, unseen_kinds = examples.examples(max(1, chosen.faces // 5), chosen.seed + 1)
    keras.utils.set_random_seed(chosen.seed)
    model = network.build()
    steps = -(-len(pictures) // BATCH) * chosen.epochs
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(chosen.seed)
    for _ in progress.bar(range(chosen.epochs), "train", unit="epoch"):
        for rows in np.array_split(rng.permutation(len(pictures)), -(-len(pictures) // BATCH)):
            flipped = pictures[rows][:, :, :: int(rng.choice((-1, 1)))]
            model.train_on_batch(flipped[..., None].astype(np.float32) / 255, (kinds[rows] == 0).astype(np.uint8))
    said = network.scores(model, list(unseen))
    network.move_threshold(model, float(np.quantile(said[unseen_kinds == 0], 1 - chosen.kept, method="lower")))
    weights.save(model, USABLE)
    said = network.scores(model, list(unseen))
    kept = said >= network.THRESHOLD
    results = {
        "images": len(pictures),
        "parameters": model.count_params(),
        "auc": round(float(roc_auc_score(unseen_kinds == 0, said)), 4),
        "kept": round(float(kept[unseen_kinds == 0].mean()), 4),
        "expelled": {
            name: round(float(1 - kept[unseen_kinds == kind].mean()), 4)
            for kind, name in enumerate(examples.UNUSABLE, 1)
            if (unseen_kinds == kind).any()
        },
    }
    write_json(METRICS, results)


if __name__ == "__main__":
    command.stage("usable", main)
