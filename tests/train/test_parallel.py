"""Divided batches and the fused normalisation train what Keras trains."""

import keras
import numpy as np
import pytest
from keras import layers

from src import params
from src.model import network
from src.train.parallel import Parallel


def after_training(model: keras.Model, batches: list[int]) -> list[np.ndarray]:
    model.compile(optimizer=keras.optimizers.SGD(0.001), loss="categorical_crossentropy")
    rng = np.random.default_rng(0)
    for size in batches:
        images = rng.random((size, 48, 48, 1), np.float32)
        model.train_on_batch(images, np.eye(7, dtype=np.float32)[rng.integers(0, 7, size)])
    return [variable.numpy() for variable in model.variables]


PARTS = pytest.mark.parametrize(("threads", "smallest"), [(1, 2), (2, 4), (3, 7), (8, 1)])


@PARTS
@pytest.mark.parametrize("layers, at", [(1, "flatten"), (3, "blocks"), (4, "dense")])
def test_it_trains_weights_and_running_averages_as_keras_does(layers, at, threads, smallest):
    values = params.load().model_dump() | {"conv_layers": layers}
    values["model"] |= {"dense_units": 8, "dropout_at": at}
    chosen = params.Params.model_validate(values)
    batches = [8, 5, smallest]  # the last one of an epoch may be smaller
    ours = after_training(Parallel(network.build(chosen), threads, smallest, 1), batches)
    keras_own = after_training(network.build(chosen), batches)
    assert len(ours) == len(keras_own)
    for left, right in zip(ours, keras_own, strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-3, atol=2e-5)


def other(seed: int) -> keras.Sequential:
    """Kinds of layers that the report's network has not, and its own in other places."""
    keras.utils.set_random_seed(seed)

    return keras.Sequential(
        [
            layers.InputLayer((48, 48, 1)),
            layers.Conv2D(4, 3, 2, activity_regularizer=keras.regularizers.L2(1e-3)),
            layers.BatchNormalization(center=False),
            layers.SeparableConv2D(6, 3, activation="relu"),
            layers.BatchNormalization(scale=False),
            layers.BatchNormalization(trainable=False),
            layers.DepthwiseConv2D(3, depthwise_regularizer="l2"),
            layers.GroupNormalization(2),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(axis=1),
            layers.SpatialDropout2D(0.3, seed=1),
            layers.GlobalAveragePooling2D(),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.Dense(7, activation="softmax"),
        ]
    )


@PARTS
def test_other_layers_are_trained_as_keras_does(threads, smallest):
    batches = [8, 5, max(2, smallest)]
    ours = after_training(Parallel(other(1), threads, smallest, 1), batches)
    keras_own = after_training(other(1), batches)
    assert len(ours) == len(keras_own)
    for left, right in zip(ours, keras_own, strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-3, atol=2e-5)


@PARTS
def test_where_it_does_not_train_it_gives_what_the_network_gives(threads, smallest):
    model = Parallel(network.build(params.load()), threads, 2, smallest)
    images = np.random.default_rng(0).random((max(smallest, 2), 48, 48, 1), np.float32)
    np.testing.assert_array_equal(model(images), model.network(images))
