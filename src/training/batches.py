"""Arrays -> batches. Each epoch's order and zoom depend on (seed, epoch) alone, so that any epoch can come first."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from src.model.augmentation import zoom


def training(
    images: np.ndarray, labels: np.ndarray, classes: int, batch_size: int, zoom_range: float, seed: int, epoch: int
) -> tf.data.Dataset:
    """The shuffled, zoomed batches of one epoch (0 is the first).

    Args:
        images: (n, size, size) uint8, may be memory-mapped: only the rows of a batch are read.
        labels: (n,) integers below `classes`.

    Returns:
        Batches of images (batch, size, size, 1) float32 in 0..1 and labels (batch, classes) one-hot; the last
        one may be smaller, as in Keras.
    """
    size = images.shape[1]

    def draw() -> Iterator:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(images))
        factors = rng.uniform(1 - zoom_range, 1 + zoom_range, (len(images), 2)).astype(np.float32)
        for start in range(0, len(images), batch_size):
            rows = order[start : start + batch_size]
            yield images[rows], labels[rows], factors[start : start + batch_size]

    def finish(pixels, label, factors):
        scaled = tf.cast(pixels, tf.float32) / 255.0
        return zoom(scaled, factors)[..., None], tf.one_hot(label, classes)

    signature = (
        tf.TensorSpec((None, size, size), tf.uint8),
        tf.TensorSpec((None,), tf.uint8),
        tf.TensorSpec((None, 2), tf.float32),
    )
    return _stream(draw, signature, finish, -(-len(images) // batch_size))


def scoring(images: np.ndarray, labels: np.ndarray, classes: int, batch_size: int = 256) -> tf.data.Dataset:
    """All images once, in order, as the network sees them: shapes as in `training`, without zoom."""

    def draw() -> Iterator:
        for start in range(0, len(images), batch_size):
            yield images[start : start + batch_size], labels[start : start + batch_size]

    def finish(pixels, label):
        return tf.cast(pixels, tf.float32)[..., None] / 255.0, tf.one_hot(label, classes)

    signature = (tf.TensorSpec((None, *images.shape[1:]), tf.uint8), tf.TensorSpec((None,), tf.uint8))
    return _stream(draw, signature, finish, -(-len(images) // batch_size))


def _stream(draw: Callable, signature: tuple, finish: Callable, batches: int) -> tf.data.Dataset:
    """Draws and finishes batches ahead on one thread of its own, off the training step's, on any machine."""
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_optimization.apply_default_optimizations = False  # they log errors and gain nothing here
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    stream = tf.data.Dataset.from_generator(draw, output_signature=signature).map(finish)
    # Keras must know where an epoch ends: given `steps_per_epoch` and an endless stream instead, it rounds the
    # epoch up to whole `steps_per_execution`.
    counted = stream.apply(tf.data.experimental.assert_cardinality(batches))
    return counted.prefetch(32).with_options(options)
