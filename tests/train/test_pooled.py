"""A pooled convolution has the gradient that TensorFlow finds, from what is not zero alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from src.train import pooled

rng = np.random.default_rng(0)


@pytest.mark.parametrize("values", ["random", "equal"])
@pytest.mark.parametrize(
    ("rows", "columns", "channels", "filters", "kernel", "pool"),
    [(23, 23, 16, 32, 3, 2), (10, 10, 32, 64, 3, 4), (9, 12, 3, 5, (1, 4), (3, 2)), (5, 5, 2, 1, 5, 1)],
)
def test_gradients_are_those_of_tensorflow(rows, columns, channels, filters, kernel, pool, values):
    shape = (4, rows, columns, channels)
    images = tf.constant(np.ones(shape, np.float32) if values == "equal" else rng.normal(size=shape).astype(np.float32))
    layer, pooling = layers.Conv2D(filters, kernel, bias_initializer="ones"), layers.MaxPooling2D(pool)
    layer.build(images.shape)
    assert pooled.applies(layer, pooling)

    def found(compute):
        with tf.GradientTape() as tape:
            tape.watch(images)
            left = compute()
            loss = tf.reduce_sum(tf.nn.relu(left) * tf.cos(left))
        return left, *tape.gradient(loss, [images, layer.kernel.value, layer.bias.value])

    ours = found(lambda: pooled.convolved(layer, pooling, images))
    theirs = found(lambda: pooling(layer(images)))
    np.testing.assert_array_equal(ours[0], theirs[0])
    for left, right in zip(ours[1:], theirs[1:], strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "following"),
    [
        (layers.Conv2D(4, 3, padding="same"), layers.MaxPooling2D()),
        (layers.Conv2D(4, 3, strides=2), layers.MaxPooling2D()),
        (layers.Conv2D(4, 3, dilation_rate=2), layers.MaxPooling2D()),
        (layers.Conv2D(4, 3, groups=2), layers.MaxPooling2D()),
        (layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D()),
        (layers.Conv2D(4, 3, use_bias=False), layers.MaxPooling2D()),
        (layers.Conv2D(4, 3, dtype="mixed_bfloat16"), layers.MaxPooling2D()),
        (layers.Conv2D(4, 3, activity_regularizer="l2"), layers.MaxPooling2D()),
        (layers.Conv2D(4, 3, trainable=False), layers.MaxPooling2D()),
        (layers.Conv2D(4, 3), layers.MaxPooling2D(3, strides=1)),
        (layers.Conv2D(4, 3), layers.MaxPooling2D(padding="same")),
        (layers.Conv2D(4, 3), layers.AveragePooling2D(2)),
        (layers.SeparableConv2D(4, 3), layers.MaxPooling2D()),
    ],
)
def test_other_layers_are_left_to_keras(layer, following):
    keras.Sequential([layers.InputLayer((20, 20, 2)), layer, following])
    assert not pooled.applies(layer, following)
