"""A convolution with max pooling behind it, whose gradient leaves out what is zero.

Max pooling passes a gradient on to the largest of four values (of sixteen after the third layer), and the ReLU behind
it to none where that is negative. oneDNN multiplies all these zeros, which costs most of a training step. This kernel
multiplies the rest: the sums of the chain rule, added up image by image, place by place and channel by channel.

Numba compiles it for the CPU it runs on, strictly by IEEE 754: no two sums trade places, no product is fused with a
sum. So its bits are the same on every CPU.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numba
import numpy as np
import tensorflow as tf
from keras import layers

Gradients = tuple[np.ndarray, np.ndarray, np.ndarray]


def applies(layer: keras.Layer, following: keras.Layer) -> bool:
    """Whether these two are a convolution and its pooling as this module computes them.

    Not for images of one channel, whose kernels are too small to gain.
    """
    return (
        type(layer) is layers.Conv2D
        and type(following) is layers.MaxPooling2D
        and layer.kernel.shape[2] > 1
        and (layer.strides, layer.dilation_rate, layer.groups, layer.padding) == ((1, 1), (1, 1), 1, "valid")
        and (following.strides, following.padding) == (following.pool_size, "valid")
        and layer.activation is keras.activations.linear
        and layer.activity_regularizer is None
        and layer.use_bias
        and layer.trainable
        and layer.data_format == following.data_format == "channels_last"
        and layer.compute_dtype == "float32"
        and not tf.config.get_visible_devices("GPU")
    )


def convolved(layer: layers.Conv2D, pooling: layers.MaxPooling2D, values: tf.Tensor) -> tf.Tensor:
    """What the two layers give for values (batch, rows, columns, channels) float32."""
    size = pooling.pool_size
    backward = _backward(*size, *layer.kernel.shape[:3])

    @tf.custom_gradient
    def forward(values: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> Any:
        convolution = tf.nn.bias_add(tf.nn.conv2d(values, kernel, 1, "VALID"), bias)
        largest = tf.nn.max_pool2d(convolution, size, size, "VALID")

        def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
            by_filter = tf.transpose(kernel, (3, 0, 1, 2))
            inputs = [values, by_filter, convolution, largest, upstream]
            found = tf.numpy_function(backward, inputs, [tf.float32] * 3, stateful=False, name="pooled_gradient")
            for of, tensor in zip((values, by_filter, bias), found, strict=True):
                tensor.set_shape(of.shape)
            return [found[0], tf.transpose(found[1], (1, 2, 3, 0)), found[2]]

        return largest, gradient

    return forward(values, tf.convert_to_tensor(layer.kernel), tf.convert_to_tensor(layer.bias))


@cache
def _backward(
    pool_rows: int, pool_columns: int, kernel_rows: int, kernel_columns: int, channels: int
) -> Callable[..., Gradients]:
    """The gradients of values, kernels and biases; compiled for these sizes, so that the inner loops can be unrolled.

    It takes values (batch, rows, columns, channels), kernels (filters, rows, columns, channels), the convolution,
    what is left of it by pooling, and the gradient of that (batch, rows, columns, filters).
    """
    # Unsigned, since of a signed index Numba asks whether it counts from the end, which keeps loops from vectors.
    number = np.uintp
    zero, one, step = number(0), number(1), number(channels)
    height, line, weights = (
        number(size) for size in (kernel_rows, kernel_columns * channels, kernel_rows * kernel_columns * channels)
    )
    down, across, places = number(pool_rows), number(pool_columns), number(pool_rows * pool_columns)

    @numba.njit(nogil=True, error_model="numpy")
    def backward(values, kernels, convolution, largest, upstream):  # noqa: ANN001, ANN202  Numba finds the types
        of_values, of_kernels = np.zeros_like(values), np.zeros_like(kernels)
        of_biases = np.zeros(kernels.shape[0], np.float32)
        rows, columns, filters = number(largest.shape[1]), number(largest.shape[2]), number(largest.shape[3])
        tall, wide = number(convolution.shape[1]), number(convolution.shape[2])
        tall_in, wide_in = number(values.shape[1]), number(values.shape[2])
        source, target = values.reshape(-1), of_values.reshape(-1)
        weight, of_weight = kernels.reshape(-1), of_kernels.reshape(-1)
        convolution, largest, upstream = convolution.reshape(-1), largest.reshape(-1), upstream.reshape(-1)
        at = zero
        for image in range(number(values.shape[0])):
            for row in range(rows):
                for column in range(columns):
                    corner = ((image * tall + row * down) * wide + column * across) * filters
                    corner_in = ((image * tall_in + row * down) * wide_in + column * across) * step
                    for number_of_filter in range(filters):
                        slope = upstream[at]
                        if slope != 0:
                            place = zero  # of the first of the largest, as in TensorFlow
                            for later in range(places):
                                earlier = places - one - later
                                beside = (earlier // across * wide + earlier % across) * filters
                                if convolution[corner + beside + number_of_filter] == largest[at]:
                                    place = earlier
                            of_biases[number_of_filter] += slope
                            start = corner_in + (place // across * wide_in + place % across) * step
                            first = number_of_filter * weights
                            for _ in range(height):
                                for one_of in range(line):
                                    of_weight[first + one_of] += slope * source[start + one_of]
                                for one_of in range(line):
                                    target[start + one_of] += slope * weight[first + one_of]
                                start += wide_in * step
                                first += line
                        at += one
        return of_values, of_kernels, of_biases

    return backward
