"""The report's network, for any input size, number of labels and number of convolutional layers."""

import math

import keras
from keras import layers

from src.errors import UserError
from src.params import Params


def build(params: Params) -> keras.Sequential:
    """Pixels (batch, size, size, 1) float32 in 0..1 -> label probabilities (batch, labels).

    Per convolutional layer: 3x3 'valid', 2x2 max pooling, ReLU, batch normalisation. The report pools twice
    in a row after the third; a fourth layer, which it does not have, pads 'same'. Pooling is left out where less
    than 2x2 remains. Weights are drawn from `params.seed`, dropout masks too.

    Raises:
        UserError: the input is too small for that many layers.
    """
    keras.utils.set_random_seed(params.seed)  # initial weights
    keras.config.set_dtype_policy(params.train.precision)
    size, at = params.data.input_size, params.model.dropout_at
    stack = [layers.Input((size, size, 1))]
    for number, filters in enumerate(params.model.filters[: params.conv_layers], start=1):
        padding = "same" if number == 4 else "valid"
        if padding == "valid":
            size -= 2
        if size < 1:
            raise UserError(
                f"conv_layers = {params.conv_layers} does not fit an input of {params.data.input_size} pixels: "
                f"nothing remains for layer {number}; lower conv_layers or raise datasets.{params.dataset}.input_size"
            )
        stack.append(layers.Conv2D(filters, 3, padding=padding, name=f"conv_{number}"))
        pool = 4 if number == 3 and size >= 4 else 2  # 4: as pooling by 2 twice in a row
        if size >= pool:
            stack.append(layers.MaxPooling2D(pool, name=f"pool_{number}"))
            size //= pool
        # Behind the pooling it gives what it gives before it, on a quarter of the values.
        stack.append(layers.ReLU(name=f"relu_{number}"))
        stack.append(layers.BatchNormalization(name=f"norm_{number}"))
        if at == "blocks":
            stack.append(layers.Dropout(params.model.dropout, seed=params.seed + number, name=f"dropout_{number}"))
    dropout = layers.Dropout(params.model.dropout, seed=params.seed, name="dropout")
    stack += [
        *([dropout] if at == "flatten" else []),
        layers.Flatten(name="flatten"),
        layers.Dense(params.model.dense_units, activation="relu", name="dense"),
        *([dropout] if at == "dense" else []),
        layers.Dense(len(params.data.labels), activation="softmax", dtype="float32", name="emotion"),
    ]
    return keras.Sequential(stack, name="report_network")


def operations(model: keras.Sequential) -> int:
    """Multiplications with a weight of a convolutional or dense layer, to score one image."""
    weighted = [layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Dense))]
    # Each weight is used once per position of the output: rows and columns of a convolution, one of a dense layer.
    return sum(math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1]) for layer in weighted)
