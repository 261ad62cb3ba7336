"""The network: the report's, for any input size, number of labels and number of convolutional layers.

The one file to edit for another one. `Architecture` is all that sets one network apart from another, `architecture_of`
takes it from the params, `stack` makes the layers of it, `read` finds it again in what Keras saves of these. All else
follows from the layers; `check` says before a training what later stages would miss in them.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import keras
import tensorflow as tf
from keras import layers
from pydantic import Field

from src.errors import UserError
from src.params import ConvLayers, InputSize, Model, Params, Precision, Section, Seed

FILE = "src/model/network.py"
NAME = "report_network"
MOST_WEIGHTS = 500_000_000  # 2 GB, and in training as much again for the gradient and for each of Adam's moments
MOST_VALUES = 2**28  # of one layer's output, for one image: 1 GB
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
# With a weight or a few per value, which `operations` leaves out.
SCALING = (layers.BatchNormalization, layers.GroupNormalization, layers.LayerNormalization, layers.PReLU)


class Architecture(Section):
    """All that sets one of these networks apart from another, besides its weights."""

    input_size: InputSize
    labels: Annotated[int, Field(ge=2, le=255)]
    conv_layers: ConvLayers
    model: Model
    seed: Seed
    precision: Precision


def architecture_of(params: Params) -> Architecture:
    """What the params say of it."""
    return Architecture(
        input_size=params.data.input_size,
        labels=len(params.data.labels),
        conv_layers=params.conv_layers,
        model=params.model,
        seed=params.seed,
        precision=params.train.precision,
    )


def stack(of: Architecture) -> list[layers.Layer]:
    """The layers in their order, the input first; each has a name.

    Per convolutional layer: 3x3 'valid', 2x2 max pooling, ReLU, batch normalisation. The report pools twice
    in a row after the third; a fourth layer, which it does not have, pads 'same'. Pooling is left out where less
    than 2x2 remains. Then hidden dense layers with ReLU, and one with softmax.

    Raises:
        ValueError: the input is too small for that many layers.
    """
    size, places = of.input_size, of.model.dropout_at
    parts = [layers.InputLayer((size, size, 1), name="input_layer")]
    for number, filters in enumerate(of.model.filters[: of.conv_layers], start=1):
        padding = "same" if number == 4 else "valid"
        if padding == "valid":
            size -= 2
        if size < 1:
            raise ValueError(
                f"conv_layers = {of.conv_layers} does not fit an input of {of.input_size} pixels: "
                f"nothing remains for layer {number}"
            )
        parts.append(layers.Conv2D(filters, 3, padding=padding, name=f"conv_{number}"))
        pool = 4 if number == 3 and size >= 4 else 2  # 4: as pooling by 2 twice in a row
        if size >= pool:
            parts.append(layers.MaxPooling2D(pool, name=f"pool_{number}"))
            size //= pool
        # Behind the pooling it gives what it gives before it, on a quarter of the values.
        parts.append(layers.ReLU(name=f"relu_{number}"))
        parts.append(layers.BatchNormalization(name=f"norm_{number}"))
        if "blocks" in places:
            parts.append(_dropout(of, number))
    further = iter((0, 5, 6, 7, 8))  # behind the blocks; 1 to 4 are theirs
    if "flatten" in places:
        parts.append(_dropout(of, next(further)))
    parts.append(layers.Flatten(name="flatten"))
    for number, units in enumerate(of.model.dense_units, start=1):
        parts.append(layers.Dense(units, activation="relu", name="dense" if number == 1 else f"dense_{number}"))
        if "dense" in places:
            parts.append(_dropout(of, next(further)))
    return [*parts, layers.Dense(of.labels, activation="softmax", dtype="float32", name="emotion")]


def _dropout(of: Architecture, number: int) -> layers.Dropout:
    """Each draws masks of its own."""
    return layers.Dropout(of.model.dropout, seed=of.seed + number, name=f"dropout_{number}" if number else "dropout")


def read(listed: list[dict[str, Any]]) -> dict[str, Any]:
    """The `Architecture` of a `stack`, from what Keras saves of its layers; anybody may have written that.

    A number that does not show in them, as `dense_units` where there is no hidden layer, is any that is allowed.

    Raises:
        AttributeError, IndexError, KeyError, TypeError: it is not to be found there.
    """
    found = {layer["config"]["name"]: layer["config"] for layer in listed}
    names = list(found)
    flatten = names.index("flatten") if "flatten" in found else 0
    filters = [found[name]["filters"] for name in ("conv_1", "conv_2", "conv_3", "conv_4") if name in found]
    blocks = "dropout_1" in found
    at = {
        "flatten": names[flatten - 1] == "dropout",
        "dense": any(name.startswith("dropout") for name in names[flatten:]),
        "blocks": blocks,
    }
    dropout = found.get("dropout_1" if blocks else "dropout", {"rate": 0, "seed": 0})
    return {
        "input_size": listed[0]["config"]["batch_shape"][1],
        "labels": listed[-1]["config"]["units"],
        "conv_layers": len(filters),
        "model": {
            "filters": [*filters, 1, 1, 1][:4],
            "dropout": dropout["rate"],
            "dropout_at": [place for place, there in at.items() if there] or "flatten",
            "dense_units": [found[name]["units"] for name in names if name.startswith("dense")] or 1,
        },
        "seed": dropout["seed"] - blocks,
        "precision": listed[1]["config"]["dtype"]["config"]["name"],
    }


def build(params: Params) -> keras.Sequential:
    """Pixels (batch, size, size, 1) float32 in 0..1 -> label probabilities (batch, labels).

    Weights are drawn from `params.seed`, dropout masks too.

    Raises:
        UserError: the input is too small for that many layers, or the network too large for any use.
    """
    architecture, size, model = architecture_of(params), params.data.input_size, params.model
    try:
        planned = outline(architecture)
    except ValueError as error:  # of Keras's too
        why = " ".join(str(error).split())
        raise UserError(
            f"{why}; lower conv_layers or raise datasets.{params.dataset}.input_size, or edit {FILE}"
        ) from error
    numbers, values = size_of(planned), values_of(planned)
    if numbers > MOST_WEIGHTS or values > MOST_VALUES:
        raise UserError(
            f"conv_layers = {params.conv_layers}, model.filters = {list(model.filters)}, model.dense_units = "
            f"{list(model.dense_units)} and datasets.{params.dataset}.input_size = {size} make a network of "
            f"{numbers:,} weights with {values:,} values in a layer; {MOST_WEIGHTS:,} and {MOST_VALUES:,} are the most"
        )
    keras.utils.set_random_seed(params.seed)  # initial weights
    keras.config.set_dtype_policy(params.train.precision)
    return assembled(architecture)


def assembled(architecture: Architecture) -> keras.Sequential:
    """The network with weights drawn at random; `ValueError` where its layers do not fit each other."""
    with _precision(architecture.precision):
        return keras.Sequential(stack(architecture), name=NAME)


def outline(architecture: Architecture) -> keras.Sequential:
    """The same without a weight being allocated, as Keras makes them of a graph that never runs: for its shapes."""
    with tf.Graph().as_default():
        return assembled(architecture)


@contextmanager
def _precision(name: str) -> Iterator[None]:
    """For layers that are not told theirs."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def weights(model: keras.Sequential) -> dict[str, keras.Variable]:
    """{place: weight}; Keras's HDF5 files have them in these places, below `model_weights`."""
    return {f"{layer.name}/{weight.path}": weight for layer in model.layers for weight in layer.weights}


def size_of(model: keras.Sequential) -> int:
    """How many numbers its weights are."""
    return sum(math.prod(weight.shape) for weight in weights(model).values())


def values_of(model: keras.Sequential) -> int:
    """How many values the largest output of its layers has, for one image."""
    return max(math.prod(layer.output.shape[1:]) for layer in model.layers)


def operations(model: keras.Model) -> int:
    """Multiplications with a weight of a convolutional or dense layer, to score one image.

    Raises:
        UserError: it has a kind of layer with weights that are used nobody knows how often.
    """
    return sum(map(_operations, model.layers))


def _operations(layer: layers.Layer) -> int:
    # Each weight is used once per position of the output: rows and columns of a convolution, one of a dense layer.
    # Of these very classes, as one that is derived from them may do anything.
    if type(layer) is layers.SeparableConv2D:
        used = (layer.depthwise_kernel, layer.pointwise_kernel)
    elif type(layer) in (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense):
        used = (layer.kernel,)
    elif type(layer) in SCALING or not layer.weights:
        return 0
    else:
        raise UserError(
            f"{FILE}: how often the layer {layer.name}, a {type(layer).__name__}, uses its weights is not known; "
            "edit `_operations` there"
        )
    return sum(math.prod(kernel.shape) for kernel in used) * math.prod(layer.output.shape[1:-1])


def check(model: keras.Sequential) -> None:
    """What train, evaluate and plot need to find in a network.

    Raises:
        UserError: what it lacks; for whoever edited this file.
    """
    names = [layer.name for layer in model.layers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{FILE}: {', '.join(twice)} stands twice in `stack`; make a layer for each place")
    if len(model.output_shape) != 2:
        raise UserError(f"{FILE}: the network gives values of shape {model.output_shape} and not a list; edit `stack`")
    operations(model)
    last = model.layers[-1]
    if type(last) is not layers.Dense or last.activation is not keras.activations.softmax:
        raise UserError(
            f"{FILE}: the last layer must be a Dense one with activation='softmax', since Grad-CAM starts from its "
            "scores before the softmax; edit `stack`, or src/evaluate/gradcam.py"
        )
    first = next((layer for layer in model.layers if type(layer) is layers.Conv2D), None)
    if first is None or tuple(first.kernel.shape[:3]) != (3, 3, 1):
        raise UserError(
            f"{FILE}: there must be a Conv2D, the first with 3x3 kernels on the one channel of the image, since its "
            "filters are drawn beside Sobel's; edit `stack`, or src/plot/filters.py"
        )
