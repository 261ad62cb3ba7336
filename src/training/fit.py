"""The training loop: Keras's `fit`, an epoch at a time, checkpointed and resumable to the same bits."""

from collections.abc import Callable

import keras
import numpy as np
from tqdm import tqdm

from src.model import network
from src.params import Params
from src.training import batches
from src.training.checkpoint import Checkpoints, History

CURVES = ("accuracy", "loss", "val_accuracy", "val_loss")
Arrays = tuple[np.ndarray, np.ndarray]


def fit(
    params: Params, train: Arrays, validation: Arrays, checkpoints: Checkpoints, on_epoch: Callable[[History], None]
) -> tuple[keras.Model, History]:
    """Trains the report's network; goes on from the newest checkpoint if there is one.

    Args:
        train: images (n, size, size) uint8 and labels (n,).
        validation: the same, scored after every epoch.
        on_epoch: called with the history after every epoch that was trained, and once with a restored history.

    Returns:
        The model and per epoch its `CURVES`; training accuracy and loss are running means over the epoch, as Keras
        reports them.
    """
    classes = len(params.data.labels)
    model = network.build(params)
    history = checkpoints.restore(model)
    if history:
        print(f"continuing after epoch {len(history)} of {params.epochs}")
        on_epoch(history)

    scored = batches.scoring(*validation, classes)
    with tqdm(total=params.epochs, initial=len(history), unit="epoch") as progress:
        for epoch in range(len(history), params.epochs):
            drawn = batches.training(*train, classes, params.batch_size, params.augmentation.zoom, params.seed, epoch)
            fitted = model.fit(drawn, validation_data=scored, shuffle=False, verbose=0)
            history.append({name: float(fitted.history[name][0]) for name in CURVES})
            checkpoints.save(model, history)
            on_epoch(history)
            progress.set_postfix(history[-1], refresh=False)
            progress.update()
    return model, history
