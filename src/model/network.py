"""The report's network, for any input size, number of labels and number of convolutional layers."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import keras
from keras import layers
from pydantic import Field

from src.errors import UserError
from src.params import ConvLayers, InputSize, Model, Params, Precision, Section, Seed

NAME = "report_network"
MOST_WEIGHTS = 500_000_000  # 2 GB, and in training as much again for the gradient and for each of Adam's moments
MOST_VALUES = 2**28  # of one layer's output, for one image: 1 GB


class Architecture(Section):
    """All that sets one of these networks apart from another, besides its weights."""

    input_size: InputSize
    labels: Annotated[int, Field(ge=2, le=255)]
    conv_layers: ConvLayers
    model: Model
    seed: Seed
    precision: Precision


def build(params: Params) -> keras.Sequential:
    """Pixels (batch, size, size, 1) float32 in 0..1 -> label probabilities (batch, labels).

    Weights are drawn from `params.seed`, dropout masks too.

    Raises:
        UserError: the input is too small for that many layers, or the network too large for any use.
    """
    keras.utils.set_random_seed(params.seed)  # initial weights
    keras.config.set_dtype_policy(params.train.precision)
    size, model = params.data.input_size, params.model
    architecture = Architecture(
        input_size=size,
        labels=len(params.data.labels),
        conv_layers=params.conv_layers,
        model=model,
        seed=params.seed,
        precision=params.train.precision,
    )
    try:
        parts = stack(architecture)
    except ValueError as error:
        raise UserError(f"{error}; lower conv_layers or raise datasets.{params.dataset}.input_size") from error
    weights, values = weights_of(parts), values_of(parts)
    if weights > MOST_WEIGHTS or values > MOST_VALUES:
        raise UserError(
            f"conv_layers = {params.conv_layers}, model.filters = {list(model.filters)}, model.dense_units = "
            f"{model.dense_units} and datasets.{params.dataset}.input_size = {size} make a network of {weights:,} "
            f"weights with {values:,} values in a layer; {MOST_WEIGHTS:,} and {MOST_VALUES:,} are the most"
        )
    return keras.Sequential(parts, name=NAME)


def stack(of: Architecture) -> list[layers.Layer]:
    """The layers in their order, the input first; not built, so that no weight is allocated.

    Per convolutional layer: 3x3 'valid', 2x2 max pooling, ReLU, batch normalisation. The report pools twice
    in a row after the third; a fourth layer, which it does not have, pads 'same'. Pooling is left out where less
    than 2x2 remains.

    Raises:
        ValueError: the input is too small for that many layers.
    """
    size, at, rate, precision = of.input_size, of.model.dropout_at, of.model.dropout, of.precision
    parts = [layers.InputLayer((size, size, 1))]
    for number, filters in enumerate(of.model.filters[: of.conv_layers], start=1):
        padding = "same" if number == 4 else "valid"
        if padding == "valid":
            size -= 2
        if size < 1:
            raise ValueError(
                f"conv_layers = {of.conv_layers} does not fit an input of {of.input_size} pixels: "
                f"nothing remains for layer {number}"
            )
        parts.append(layers.Conv2D(filters, 3, padding=padding, dtype=precision, name=f"conv_{number}"))
        pool = 4 if number == 3 and size >= 4 else 2  # 4: as pooling by 2 twice in a row
        if size >= pool:
            parts.append(layers.MaxPooling2D(pool, dtype=precision, name=f"pool_{number}"))
            size //= pool
        # Behind the pooling it gives what it gives before it, on a quarter of the values.
        parts.append(layers.ReLU(dtype=precision, name=f"relu_{number}"))
        parts.append(layers.BatchNormalization(dtype=precision, name=f"norm_{number}"))
        if at == "blocks":
            parts.append(layers.Dropout(rate, seed=of.seed + number, dtype=precision, name=f"dropout_{number}"))
    dropout = layers.Dropout(rate, seed=of.seed, dtype=precision, name="dropout")
    return [
        *parts,
        *([dropout] if at == "flatten" else []),
        layers.Flatten(dtype=precision, name="flatten"),
        layers.Dense(of.model.dense_units, activation="relu", dtype=precision, name="dense"),
        *([dropout] if at == "dense" else []),
        layers.Dense(of.labels, activation="softmax", dtype="float32", name="emotion"),
    ]


def weights_of(parts: list[layers.Layer]) -> int:
    """How many weights a `stack` has."""
    return sum(math.prod(shape) for shapes in weight_shapes(parts).values() for shape in shapes.values())


def values_of(parts: list[layers.Layer]) -> int:
    """How many values the largest output in a `stack` has, for one image."""
    return max(math.prod(output[1:]) for _, _, output in _shapes(parts))


def weight_shapes(parts: list[layers.Layer]) -> dict[str, dict[str, tuple[int, ...]]]:
    """{layer: {weight: shape}} of the layers in a `stack` that have weights."""
    found = {}
    for layer, (*_, channels), _ in _shapes(parts):
        if isinstance(layer, layers.Conv2D):
            found[layer.name] = {"kernel": (*layer.kernel_size, channels, layer.filters), "bias": (layer.filters,)}
        elif isinstance(layer, layers.BatchNormalization):
            found[layer.name] = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (channels,))
        elif isinstance(layer, layers.Dense):
            found[layer.name] = {"kernel": (channels, layer.units), "bias": (layer.units,)}
    return found


def _shapes(parts: list[layers.Layer]) -> Iterator[tuple[layers.Layer, tuple[Any, ...], tuple[Any, ...]]]:
    """Of each layer behind the input: the layer, the shape of what it is given, the shape of what it gives."""
    shape = parts[0].batch_shape
    for layer in parts[1:]:
        given, shape = shape, layer.compute_output_shape(shape)
        yield layer, given, shape


def operations(model: keras.Sequential) -> int:
    """Multiplications with a weight of a convolutional or dense layer, to score one image."""
    weighted = [layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Dense))]
    # Each weight is used once per position of the output: rows and columns of a convolution, one of a dense layer.
    return sum(math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1]) for layer in weighted)
