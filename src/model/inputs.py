"""Arrays -> batches of what the network sees."""

from collections.abc import Callable
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

AHEAD = 8  # batches
SCORED = 64 * 48 * 48  # pixels at a time: what the network makes of them stays in a CPU's cache
TOGETHER = 2  # images at least: how oneDNN convolves a single one has other bits on other CPUs
READ = 256 * 48 * 48  # pixels by one call of Python, or a batch
Batches: TypeAlias = "tf.data.Dataset[tuple[tf.Tensor, tf.Tensor]]"


def scoring(images: np.ndarray, labels: np.ndarray, classes: int) -> Batches:
    """All images once, in order, as the network sees them: images (batch, size, size, 1) float32 in 0..1 and labels
    (batch, classes) one-hot."""
    every = np.arange(len(images))
    return batches(images, labels, classes, (every,), at_once(*images.shape[:2]), lambda pixels: pixels)


def at_once(images: int, size: int) -> int:
    """How many of so many images of size x size pixels are scored at a time, so that none is left to be alone."""
    most = max(TOGETHER, SCORED // size**2)
    return next(count for count in range(most, 0, -1) if images % count != 1 or count == 1)


def probabilities(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """What a network says (n, labels) to images (n, size, size) of 0 to 255."""
    together = images if len(images) >= TOGETHER else np.repeat(images, TOGETHER, axis=0)
    return model.predict_on_batch(together[..., None].astype(np.float32) / 255)[: len(images)]


def batches(
    images: np.ndarray,
    labels: np.ndarray,
    classes: int,
    columns: tuple[np.ndarray, ...],
    batch_size: int,
    change: Callable[..., tf.Tensor],
) -> Batches:
    """Draws batches ahead on one thread of its own, off the training step's, on any machine.

    Args:
        labels: (n,) positions, or (n, classes) shares.
        columns: (n,) rows of `images` in the order wanted, and what `change` needs beside their pixels, each (n, …).
        change: pixels (batch, size, size) float32 in 0..1 and the further columns -> pixels.
    """

    def take(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return images[rows], labels[rows]

    def read(rows: tf.Tensor, *others: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # Not a tensor of all images: arrays may be larger than the memory.
        pixels, label = tf.numpy_function(take, [rows], [tf.uint8, labels.dtype], stateful=False)
        pixels.set_shape((None, *images.shape[1:]))
        label.set_shape((None, *labels.shape[1:]))
        return pixels, label, *others

    def draw(pixels: tf.Tensor, label: tf.Tensor, *others: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        changed = change(tf.cast(pixels, tf.float32) / 255.0, *others)
        return tf.expand_dims(changed, -1), label if labels.ndim > 1 else tf.one_hot(label, classes)

    options = tf.data.Options()
    options.deterministic = True
    options.experimental_optimization.apply_default_optimizations = False  # they log errors and gain nothing here
    options.autotune.enabled = False  # there is nothing to tune, and its thread keeps an epoch from ending before 5 s
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    together = max(1, READ // (batch_size * images.shape[1] ** 2))
    stream = tf.data.Dataset.from_tensor_slices(columns).batch(together * batch_size).map(read)
    if together > 1:
        count = -(-len(images) // batch_size)
        stream = stream.rebatch(batch_size).apply(tf.data.experimental.assert_cardinality(count))  # rebatch forgets it
    return stream.map(draw).prefetch(AHEAD).with_options(options)
