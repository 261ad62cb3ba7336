"""The training loop: Keras's `fit`, checkpointed after every epoch and resumable to the same bits."""

from collections.abc import Callable

import keras
import numpy as np
from tqdm.keras import TqdmCallback

from src.model import network
from src.params import Params
from src.training import batches
from src.training.checkpoint import Checkpoints

History = list[dict[str, float]]
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

    def epoch_end(epoch: int, logs: dict[str, float]) -> None:
        history.append({name: float(logs[name]) for name in CURVES})
        checkpoints.save(model, history)
        on_epoch(history)

    if len(history) < params.epochs:
        stream = batches.training(
            *train, classes, params.batch_size, params.augmentation.zoom, params.seed, epoch=len(history)
        )
        model.fit(
            stream,
            steps_per_epoch=batches.steps(len(train[0]), params.batch_size),
            initial_epoch=len(history),
            epochs=params.epochs,
            validation_data=batches.scoring(*validation, classes),
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_end=epoch_end),
                TqdmCallback(verbose=0, mininterval=1),
            ],
            verbose=0,
        )
    return model, history
