"""Zoom as Keras's `ImageDataGenerator(zoom_range=…)` does it, for a whole batch at once.

`ImageDataGenerator` draws a factor for each axis from [1 - zoom, 1 + zoom] and scales *source* coordinates about
the image's centre (n - 1) / 2, so that a factor above 1 zooms out; bilinear, the nearest edge pixel outside.
A zoom without rotation is separable: a matrix product over rows, then one over columns.
(keras.src.legacy.preprocessing.image: `get_random_transform`, `apply_affine_transform`.)
"""

import tensorflow as tf


def zoom(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Zooms images (batch, n, n) float32 by factors (batch, 2): zy for rows, zx for columns -> (batch, n, n)."""
    size = tf.shape(images)[1]
    rows, columns = _weights(factors[:, 0], size), _weights(factors[:, 1], size)
    return tf.matmul(tf.matmul(rows, images), columns, transpose_b=True)


def _weights(factors: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """(batch, n, n): how much each source pixel (last axis) gives to each pixel of the result."""
    pixels = tf.range(tf.cast(size, tf.float32))
    centre = (tf.cast(size, tf.float32) - 1) / 2
    source = (pixels - centre) * factors[:, None] + centre
    source = tf.clip_by_value(source, 0.0, tf.cast(size, tf.float32) - 1)
    return tf.maximum(0.0, 1 - tf.abs(source[:, :, None] - pixels))
