"""Arrays -> batches. Each epoch's order and zoom depend on (seed, epoch) alone, so that any epoch can come first."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from src.model.augmentation import zoom


def steps(images: int, batch_size: int) -> int:
    return -(-images // batch_size)


def training(
    images: np.ndarray, labels: np.ndarray, classes: int, batch_size: int, zoom_range: float, seed: int, epoch: int
) -> tf.data.Dataset:
    """An endless stream of shuffled, zoomed batches, from the start of `epoch` (0 is the first) on.

    Args:
        images: (n, size, size) uint8, may be memory-mapped: only the rows of a batch are read.
        labels: (n,) integers below `classes`.

    Returns:
        Batches of images (batch, size, size, 1) float32 in 0..1 and labels (batch, classes) one-hot; the last
        batch of an epoch may be smaller, as in Keras.
    """
    size = images.shape[1]

    def draw() -> Iterator:
        current = epoch
        while True:
            rng = np.random.default_rng([seed, current])
            order = rng.permutation(len(images))
            factors = rng.uniform(1 - zoom_range, 1 + zoom_range, (len(images), 2)).astype(np.float32)
            for start in range(0, len(images), batch_size):
                rows = order[start : start + batch_size]
                yield images[rows], labels[rows], factors[start : start + batch_size]
            current += 1

    def finish(pixels, label, factors):
        scaled = tf.cast(pixels, tf.float32) / 255.0
        return zoom(scaled, factors)[..., None], tf.one_hot(label, classes)

    signature = (
        tf.TensorSpec((None, size, size), tf.uint8),
        tf.TensorSpec((None,), tf.uint8),
        tf.TensorSpec((None, 2), tf.float32),
    )
    stream = tf.data.Dataset.from_generator(draw, output_signature=signature)
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return _own_thread(stream.map(finish).apply(endless)).prefetch(64)


def scoring(images: np.ndarray, labels: np.ndarray, classes: int, batch_size: int = 256) -> tf.data.Dataset:
    """All images once, in order, as the network sees them: shapes as in `training`, without zoom."""

    def draw() -> Iterator:
        for start in range(0, len(images), batch_size):
            yield images[start : start + batch_size], labels[start : start + batch_size]

    def finish(pixels, label):
        return tf.cast(pixels, tf.float32)[..., None] / 255.0, tf.one_hot(label, classes)

    signature = (tf.TensorSpec((None, *images.shape[1:]), tf.uint8), tf.TensorSpec((None,), tf.uint8))
    stream = tf.data.Dataset.from_generator(draw, output_signature=signature).map(finish)
    known = tf.data.experimental.assert_cardinality(steps(len(images), batch_size))
    return _own_thread(stream.apply(known)).prefetch(2)


def _own_thread(stream: tf.data.Dataset) -> tf.data.Dataset:
    """Keeps the data path on one thread of its own, off the training step's, whatever the machine has."""
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_optimization.apply_default_optimizations = False  # they log errors and gain nothing here
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return stream.with_options(options)
