"""Arrays -> batches of what the network sees."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import tensorflow as tf

AHEAD = 8  # batches
SCORED = 256 * 48 * 48  # pixels at a time, so that larger images need no more memory
Batches: TypeAlias = "tf.data.Dataset[tuple[tf.Tensor, tf.Tensor]]"


def scoring(images: np.ndarray, labels: np.ndarray, classes: int) -> Batches:
    """All images once, in order, as the network sees them: images (batch, size, size, 1) float32 in 0..1 and labels
    (batch, classes) one-hot."""

    def draw(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels, label = read(images, labels, classes, rows)
        return tf.expand_dims(pixels, -1), label

    batch_size = max(1, SCORED // images.shape[1] ** 2)
    return batches(np.arange(len(images)), batch_size, draw)


def read(images: np.ndarray, labels: np.ndarray, classes: int, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels (batch, size, size) float32 in 0..1 and one-hot labels (batch, classes) of these rows."""

    def take(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return images[rows], labels[rows]

    # Not a tensor of all images: arrays may be larger than the memory.
    pixels, label = tf.numpy_function(take, [rows], [tf.uint8, tf.uint8], stateful=False)
    pixels.set_shape((None, *images.shape[1:]))
    label.set_shape((None,))
    return tf.cast(pixels, tf.float32) / 255.0, tf.one_hot(label, classes)


def batches(
    columns: np.ndarray | tuple[np.ndarray, ...], batch_size: int, draw: Callable[..., tuple[tf.Tensor, tf.Tensor]]
) -> Batches:
    """Draws batches ahead on one thread of its own, off the training step's, on any machine."""
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_optimization.apply_default_optimizations = False  # they log errors and gain nothing here
    options.autotune.enabled = False  # there is nothing to tune, and its thread keeps an epoch from ending before 5 s
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    stream = tf.data.Dataset.from_tensor_slices(columns).batch(batch_size).map(draw)
    return stream.prefetch(AHEAD).with_options(options)
