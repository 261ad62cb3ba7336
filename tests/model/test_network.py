import resource
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from src import params
from src.errors import UserError
from src.model import network, saved


def with_values(**values) -> params.Params:
    return params.Params.model_validate(params.load().model_dump() | values)


def shapes(model: keras.Model) -> list[str]:
    return [f"{layer.name} {'x'.join(map(str, layer.output.shape[1:]))}" for layer in model.layers]


def test_three_layers_are_the_reports_network():
    assert shapes(network.build(with_values(conv_layers=3))) == [
        "conv_1 46x46x16", "pool_1 23x23x16", "relu_1 23x23x16", "norm_1 23x23x16",
        "conv_2 21x21x32", "pool_2 10x10x32", "relu_2 10x10x32", "norm_2 10x10x32",
        "conv_3 8x8x64", "pool_3 2x2x64", "relu_3 2x2x64", "norm_3 2x2x64",
        "dropout 2x2x64", "flatten 256", "dense 512", "emotion 7",
    ]  # fmt: skip


def test_a_fourth_layer_pads():
    fourth = shapes(network.build(with_values(conv_layers=4)))[12:16]
    assert fourth == ["conv_4 2x2x128", "pool_4 1x1x128", "relu_4 1x1x128", "norm_4 1x1x128"]


@pytest.mark.parametrize(
    ("at", "places"),
    [
        ("flatten", ["norm_3 dropout flatten"]),
        ("dense", ["dense dropout emotion"]),
        ("blocks", ["norm_1 dropout_1 conv_2", "norm_2 dropout_2 conv_3", "norm_3 dropout_3 flatten"]),
        (("dense", "blocks"), ["dropout_1 conv_2", "dropout_2 conv_3", "dropout_3 flatten", "dense dropout emotion"]),
        (("flatten", "dense"), ["norm_3 dropout flatten", "dense dropout_5 emotion"]),
    ],
)
def test_dropout_is_where_the_param_says(at, places):
    model = network.build(with_values(model=params.load().model.model_dump() | {"dropout_at": at}))
    names = " ".join(layer.name for layer in model.layers)
    assert all(place in names for place in places)
    assert names.count("dropout") == len(places)


def test_several_hidden_layers_stand_in_their_order_each_with_a_dropout_of_its_own():
    several = {"dense_units": (8, 4, 2), "dropout_at": ("flatten", "dense", "blocks")}
    model = network.build(with_values(model=params.load().model.model_dump() | several))
    assert shapes(model)[-9:] == [
        "dropout 2x2x64", "flatten 256",
        "dense 8", "dropout_5 8", "dense_2 4", "dropout_6 4", "dense_3 2", "dropout_7 2", "emotion 7",
    ]  # fmt: skip
    seeds = [layer.seed for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(set(seeds)) == len(seeds) == 7


def test_it_computes_what_the_reports_listing_computes():
    """There ReLU stands before the pooling, and two poolings by 2 behind the third layer."""
    ours = network.build(with_values(conv_layers=3))
    stack = [keras.layers.Input((48, 48, 1))]
    for number, filters in enumerate((16, 32, 64), 1):
        stack += [keras.layers.Conv2D(filters, 3, activation="relu")]
        stack += [keras.layers.MaxPooling2D(2) for _ in range(2 if number == 3 else 1)]
        stack += [keras.layers.BatchNormalization()]
    stack += [keras.layers.Dropout(0.25), keras.layers.Flatten(), keras.layers.Dense(512, "relu")]
    listing = keras.Sequential([*stack, keras.layers.Dense(7, "softmax")])
    listing.set_weights(ours.get_weights())
    images = np.random.default_rng(0).random((4, 48, 48, 1), np.float32)
    with tf.GradientTape(persistent=True) as tape:
        results = [model(images, training=False) for model in (ours, listing)]
        losses = [keras.ops.sum(result**2) for result in results]
    np.testing.assert_allclose(*results, rtol=1e-5)
    for one, other in zip(
        *(tape.gradient(loss, model.trainable_variables) for loss, model in zip(losses, (ours, listing), strict=True)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize(("dataset", "classes", "size"), [("ai", 7, 48), ("ai2", 6, 208)])
def test_input_size_and_labels_follow_the_dataset(dataset, classes, size, layers):
    model = network.build(with_values(dataset=dataset, conv_layers=layers))
    assert model.input_shape == (None, size, size, 1)
    assert model.output_shape == (None, classes)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, again, other = (network.build(with_values(seed=seed)).get_weights()[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_mixed_precision_keeps_weights_and_probabilities_in_32_bits(tmp_path):
    values = with_values(portable=False, train={"learning_rate": 0.001, "precision": "mixed_bfloat16"})
    model = network.build(values)
    saved.save(model, tmp_path / "model.h5", values)
    images = np.random.default_rng(0).random((4, 48, 48, 1), np.float32)
    for one in (model, saved.load(tmp_path / "model.h5")[0]):
        assert one.get_layer("conv_1").compute_dtype == "bfloat16"
        assert {weight.dtype for weight in one.weights} == {"float32"}
        assert one(images).dtype == tf.float32
    single = network.build(with_values())
    assert single.get_layer("conv_1").compute_dtype == "float32"


def test_an_input_too_small_for_the_layers_is_refused():
    values = with_values().model_dump()
    values["datasets"]["ai"]["input_size"] = 12
    with pytest.raises(UserError, match=r"conv_layers = 3 does not fit an input of 12 pixels.*input_size"):
        network.build(params.Params.model_validate(values))


@pytest.mark.parametrize(
    ("size", "changes"),
    [
        (1024, {"conv_layers": 1}),  # the dense layer alone: 511 x 511 x 16 x 512 weights
        (48, {"model.dense_units": 65_536, "model.filters": [16, 32, 4096, 128]}),
        (208, {"model.filters": [4096] * 4, "conv_layers": 4}),
        (1024, {"model.filters": [4096, 1, 1, 1], "model.dense_units": 1}),  # few weights, 4 billion values
    ],
)
def test_a_network_that_fits_no_use_is_refused_before_anything_is_allocated(size, changes):
    values = params.changed(params.load().model_dump(mode="json"), changes | {"datasets.ai.input_size": size})
    chosen = params.check(values, Path("params.yaml"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as raised:
        network.build(chosen)
    (line,) = str(raised.value).splitlines()
    for named in ("conv_layers = ", "model.filters = ", "model.dense_units = ", f"datasets.ai.input_size = {size}"):
        assert named in line
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_weights_are_foretold_as_keras_makes_them(layers):
    built = network.build(with_values(conv_layers=layers))
    outline = network.outline(network.architecture_of(with_values(conv_layers=layers)))
    assert network.size_of(outline) == built.count_params()
    foretold = network.weights(outline)
    assert {place: weight.shape for place, weight in network.weights(built).items()} == {
        place: weight.shape for place, weight in foretold.items()
    }
