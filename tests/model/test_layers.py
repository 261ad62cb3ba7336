"""Whatever layers `stack` in src/model/network.py has: they are saved, loaded, counted and explained, or refused."""

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from src import params
from src.errors import UserError
from src.evaluate import gradcam
from src.model import network, saved
from src.plot import filters

Parts = list[layers.Layer]
Edit = Callable[[Parts, network.Architecture], Parts | None]
SMALL = {"model.dense_units": 5, "model.filters": [4, 6, 8, 8], "datasets.ai.input_size": 20, "portable": False}


def chosen(**changes: object) -> params.Params:
    values = params.changed(params.load().model_dump(mode="json"), SMALL | changes)
    return params.check(values, Path("params.yaml"))


def stack(monkeypatch: pytest.MonkeyPatch, edit: Edit) -> None:
    """Edits `stack`, as a user would in the file."""
    original = network.stack

    def edited(of: network.Architecture) -> Parts:
        parts = original(of)
        return edit(parts, of) or parts

    monkeypatch.setattr(network, "stack", edited)


def behind(name: str, *make: Callable[[], layers.Layer], keep: bool = True) -> Edit:
    """The edit that puts layers behind the one of that name."""

    def edit(parts: Parts, _: network.Architecture) -> None:
        (place,) = (number for number, part in enumerate(parts) if part.name == name)
        parts[place + keep : place + 1] = [one() for one in make]

    return edit


def instead(name: str, *make: Callable[[], layers.Layer]) -> Edit:
    """The edit that puts layers in the place of the one of that name."""
    return behind(name, *make, keep=False)


def without(*names: str) -> Edit:
    return lambda parts, _: [part for part in parts if part.name not in names]


def tried(tmp_path: Path, of: params.Params) -> keras.Sequential:
    """What train, evaluate, plot and predict do with a network."""
    saved.check(of)
    built = network.build(of)
    rng = np.random.default_rng(0)
    built.set_weights([rng.uniform(0.1, 0.3, weight.shape) for weight in built.weights])
    path = tmp_path / "model.h5"
    saved.save(built, path, of)
    loaded, known = saved.load(path)
    images = rng.integers(0, 256, (2, of.data.input_size, of.data.input_size), np.uint8)
    seen = images[..., None].astype(np.float32) / 255
    np.testing.assert_array_equal(loaded.predict_on_batch(seen), built.predict_on_batch(seen))
    assert known.labels == tuple(of.data.labels)
    maps = gradcam.heat_maps(loaded, images)
    np.testing.assert_array_equal(maps, gradcam.heat_maps(built, images))
    assert filters.first_layer(path).shape[1:] == (3, 3)
    return loaded


P = 9 * 9  # positions in what norm_1 gives, of 4 channels: these layers keep them
# How many multiplications with a weight of a convolutional or dense layer each has.
TAKEN = [
    (partial(layers.SeparableConv2D, 4, 3, padding="same"), P * (9 * 4 + 4 * 4)),
    (partial(layers.SeparableConv2D, 4, 3, padding="same", depth_multiplier=2), P * (9 * 8 + 8 * 4)),
    (partial(layers.SeparableConv2D, 4, 1, use_bias=False), P * (4 + 4 * 4)),
    (partial(layers.DepthwiseConv2D, 3, padding="same"), P * 9 * 4),
    (partial(layers.Conv2D, 4, 3, padding="same", use_bias=False), P * 9 * 4 * 4),
    (partial(layers.Conv2D, 4, 3, padding="same", dilation_rate=2), P * 9 * 4 * 4),
    (partial(layers.Conv2D, 4, 3, padding="same", groups=2), P * 9 * 2 * 4),
    (partial(layers.Conv2D, 4, 1, kernel_regularizer="l2", activity_regularizer="l2"), P * 4 * 4),
    (partial(layers.Dense, 4, use_bias=False), P * 4 * 4),
    (partial(layers.GroupNormalization, 2), 0),
    (partial(layers.LayerNormalization), 0),
    (partial(layers.BatchNormalization, center=False, scale=False), 0),
    (partial(layers.BatchNormalization, trainable=False), 0),
    (partial(layers.UnitNormalization), 0),
    (partial(layers.PReLU, shared_axes=[1, 2]), 0),
    (partial(layers.LeakyReLU), 0),
    (partial(layers.Activation, "swish"), 0),
    (partial(layers.SpatialDropout2D, 0.3, seed=3), 0),
    (partial(layers.Dropout, 0.3), 0),
    (partial(layers.GaussianNoise, 0.1, seed=3), 0),
    (partial(layers.RandomFlip, seed=3), 0),
    (partial(layers.AveragePooling2D, 3, 1, "same"), 0),
    (partial(layers.ZeroPadding2D, 1), 0),
    (partial(layers.Cropping2D, 1), 0),
    (partial(layers.UpSampling2D, 2), 0),
    (partial(layers.MaxPooling2D, 2), 0),
    (partial(layers.Rescaling, 2.0), 0),
    (partial(layers.Lambda, lambda values: values + 1, lambda shape: shape), 0),
]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_other_kinds_of_layers_are_saved_loaded_counted_and_explained(monkeypatch, tmp_path, precision):
    of = chosen(**{"train.precision": precision})
    before = network.operations(network.build(of))
    stack(monkeypatch, behind("norm_1", *(partial(make, name=f"x_{number}") for number, (make, _) in enumerate(TAKEN))))
    more = partial(layers.BatchNormalization, name="y"), partial(layers.Dense, 5, name="z")
    stack(monkeypatch, behind("dense", *more))
    last = partial(layers.Dense, 7, "softmax", use_bias=False, dtype="float32", name="last")
    stack(monkeypatch, instead("emotion", last))
    loaded = tried(tmp_path, of)
    assert network.operations(loaded) == before + sum(own for _, own in TAKEN) + 5 * 5
    used = {layer.compute_dtype for layer in loaded.layers if layer.name != "last"}
    assert used == {"bfloat16" if precision.startswith("mixed") else "float32"}


def test_a_network_without_the_reports_layers(monkeypatch, tmp_path):
    def other(_: Parts, of: network.Architecture) -> Parts:
        return [
            layers.InputLayer((of.input_size, of.input_size, 1), name="input_layer"),
            layers.Rescaling(2, -1, name="scaled"),
            layers.Conv2D(of.model.filters[0], 3, 2, "same", use_bias=False, name="conv_1"),
            layers.DepthwiseConv2D(3, padding="same", name="deep"),
            layers.Conv2D(of.model.filters[1], 1, name="conv_2"),
            layers.GlobalAveragePooling2D(name="average"),
            layers.Dense(of.labels, "softmax", dtype="float32", name="scores"),
        ]

    stack(monkeypatch, other)
    loaded = tried(tmp_path, chosen(conv_layers=2))
    assert network.operations(loaded) == 100 * (9 * 4 + 9 * 4 + 4 * 6) + 6 * 7


class Twice(layers.Layer):
    """A layer of the user's own, with a layer in it."""

    def __init__(self, name: str):
        super().__init__(name=name)
        self.inner = layers.BatchNormalization(name="inner")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, values):
        return self.inner(values) * 2


def test_a_layer_of_ones_own_is_taken_when_it_can_be_counted(monkeypatch, tmp_path):
    stack(monkeypatch, behind("norm_1", partial(Twice, "x")))
    with pytest.raises(UserError, match=r"layer x, a Twice, uses its weights is not known; edit `_operations` there"):
        saved.check(chosen())
    monkeypatch.setattr(network, "SCALING", (*network.SCALING, Twice))
    loaded = tried(tmp_path, chosen())
    assert {weight.path for weight in loaded.get_layer("x").weights} >= {"report_network/x/inner/gamma"}


class By(layers.Layer):
    """Keras finds out by itself how to save what is plain."""

    def __init__(self, by: object, name: str):
        super().__init__(name=name)
        self.by = by

    def call(self, values):
        return values * self.by


NUMBER = count(1)
REFUSED = {
    "no name": (behind("norm_1", partial(layers.GroupNormalization, 2)), "give every layer in `stack` a name"),
    "a name twice": (behind("norm_1", partial(layers.ReLU, name="relu_1")), "should have unique names"),
    "a layer twice": (lambda parts, _: parts.insert(4, parts[3]), "relu_1 stands twice in `stack`"),
    "a number where read does not look": (
        lambda parts, of: instead("dense", partial(layers.Dense, of.model.dense_units[0], name="hidden"))(parts, of),
        "config.layers.7.config.units = 5; give every layer",
    ),
    "no number where read looks": (
        instead(
            "conv_1", partial(layers.Conv2D, 4, 3, name="conv_2"), partial(layers.DepthwiseConv2D, 3, name="conv_1")
        ),
        "KeyError('filters')",
    ),
    "a kind with weights that is not counted": (
        behind("norm_1", partial(layers.Conv2DTranspose, 4, 3, name="x")),
        "layer x, a Conv2DTranspose, uses its weights is not known; edit `_operations` there",
    ),
    "a network in the network": (
        behind("norm_1", lambda: keras.Sequential([layers.Conv2D(4, 1, name="y")], name="x")),
        "layer x, a Sequential, uses its weights is not known",
    ),
    "16-bit weights": (
        instead("emotion", partial(layers.Dense, 7, "softmax", dtype="bfloat16", name="emotion")),
        "is not of float32 values",
    ),
    "other labels": (
        instead("emotion", partial(layers.Dense, 3, "softmax", name="emotion")),
        "not one for 20 pixels and 7 labels",
    ),
    "softmax apart": (behind("emotion", partial(layers.Softmax, name="x")), "the last layer must be a Dense one"),
    "no softmax": (instead("emotion", partial(layers.Dense, 7, name="emotion")), "the last layer must be a Dense one"),
    "no convolution": (without("conv_1", "pool_1", "relu_1", "norm_1"), "there must be a Conv2D"),
    "a first convolution of 5 x 5": (
        instead("conv_1", partial(layers.Conv2D, 4, 5, name="conv_1")),
        "the first with 3x3 kernels on the one channel of the image",
    ),
    "a first convolution on more channels": (
        behind("input_layer", partial(layers.SeparableConv2D, 3, 3, name="x")),
        "the first with 3x3 kernels on the one channel of the image",
    ),
    "too many for the image": (
        behind("norm_1", *(partial(layers.Conv2D, 4, 9, name=name) for name in "xyz")),
        "lower conv_layers or raise datasets.ai.input_size, or edit src/model/network.py",
    ),
    "no list of probabilities": (without("flatten"), "values of shape (None, 9, 9, 7) and not a list"),
    "what Keras cannot save": (behind("norm_1", partial(By, np.float32(2), "x")), "Keras cannot save this network: "),
    "other answers each time": (
        behind("norm_1", partial(layers.Lambda, lambda values: values * next(NUMBER), lambda shape: shape, name="x")),
        "gives other probabilities once it is loaded",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_could_not_be_used_after_the_training_is_refused_with_the_file_to_edit(monkeypatch, kind):
    edit, said = REFUSED[kind]
    stack(monkeypatch, edit)
    with pytest.raises(UserError) as raised:
        saved.check(chosen(conv_layers=1))
    (line,) = str(raised.value).splitlines()
    assert "src/model/network.py" in line
    assert said in line
    assert len(line) < 900


def test_the_reports_networks_are_all_taken_and_trained_from_the_same_weights():
    for changes in ({}, {"conv_layers": 1}, {"model.dropout_at": "blocks"}, {"model.dropout_at": "dense"}):
        of = chosen(**changes)
        before = network.build(of).get_weights()
        saved.check(of)
        for one, other in zip(before, network.build(of).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
