"""The training loop: Keras's `fit`, an epoch at a time, checkpointed and resumable to the same bits."""

import math
from collections.abc import Callable

import keras
import numpy as np

from src import progress
from src.errors import UserError
from src.model import inputs, network
from src.params import Params, Train
from src.train import batches
from src.train.checkpoint import Checkpoints, History
from src.train.optimizer import Adam
from src.train.parallel import Parallel

CURVES = ("accuracy", "loss", "val_accuracy", "val_loss")
Arrays = tuple[np.ndarray, np.ndarray]


def fit(
    params: Params, train: Arrays, validation: Arrays, checkpoints: Checkpoints, on_epoch: Callable[[History], None]
) -> tuple[Parallel, History]:
    """Trains the report's network; goes on from the newest checkpoint if there is one.

    Args:
        train: images (n, size, size) uint8 and labels (n,).
        validation: the same, scored after every epoch.
        on_epoch: called with the history after every epoch that was trained, and once with a restored history.

    Returns:
        The model and per epoch its `CURVES`; training accuracy and loss are running means over the epoch, as Keras
        reports them.

    Raises:
        UserError: a curve is no longer a finite number; the checkpoint before stays.
    """
    classes = len(params.data.labels)
    model = compiled(params, len(train[0]), len(validation[0]))
    history = checkpoints.restore(model)
    if history:
        print(f"continuing after epoch {len(history)} of {params.epochs}")
        on_epoch(history)

    scored = inputs.scoring(*validation, classes)
    with progress.bar(unit="epoch", total=params.epochs, initial=len(history)) as bar:
        for epoch in range(len(history), params.epochs):
            drawn = batches.training(*train, params, epoch)
            fitted = model.fit(drawn, validation_data=scored, shuffle=False, verbose=0)
            history.append({name: float(fitted.history[name][0]) for name in CURVES})
            if not np.isfinite(list(history[-1].values())).all():
                raise UserError(_diverged(params, history))
            checkpoints.save(model, history)
            on_epoch(history)
            bar.set_postfix(history[-1], refresh=False)
            bar.update()
    return model, history


def _diverged(params: Params, history: History) -> str:
    *_, (name, value) = ((name, value) for name, value in history[-1].items() if not np.isfinite(value))
    kept = f"; the checkpoint of epoch {len(history) - 1} is kept" if len(history) > 1 else ""
    return (
        f"training has diverged: {name} is {value} in epoch {len(history)}{kept}. "
        f"A lower train.learning_rate than {params.train.learning_rate:g} is what helps most often"
    )


def compiled(params: Params, images: int, scored: int) -> Parallel:
    """The network with its optimizer, to be trained on so many images an epoch, and to score so many after each."""
    steps = params.epochs * math.ceil(images / params.batch_size)
    smallest = (
        count % size or size
        for count, size in ((images, params.batch_size), (scored, inputs.at_once(scored, params.data.input_size)))
    )
    model = Parallel(network.build(params), params.threads, *smallest)
    model.compile(
        optimizer=Adam(_learning_rate(params.train, steps)),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        # Results must not depend on what Keras finds out about the machine; XLA is slower here on a CPU.
        jit_compile=False,
        # Python is entered once per this many steps; the steps themselves stay the same.
        steps_per_execution=32,
    )
    return model


def _learning_rate(train: Train, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """`one_cycle`: up to `learning_rate` in 30 % of the steps, then along a cosine down to nearly 0.

    Smith and Topin, 2018, "Super-convergence", with the cosine and the share of fastai's `fit_one_cycle`; momentum
    stays as it is.
    """
    if train.schedule == "constant":
        return train.learning_rate
    warmup = max(1, round(0.3 * steps))
    return keras.optimizers.schedules.CosineDecay(
        train.learning_rate / 25, max(1, steps - warmup), warmup_target=train.learning_rate, warmup_steps=warmup
    )
