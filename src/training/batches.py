"""Arrays -> batches. Each epoch's order and zoom depend on (seed, epoch) alone, so that any epoch can come first."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from src.model.augmentation import zoom

AHEAD = 8  # batches
SCORED = 256 * 48 * 48  # pixels at a time, so that larger images need no more memory


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
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(images))
    factors = rng.uniform(1 - zoom_range, 1 + zoom_range, (len(images), 2)).astype(np.float32)

    def draw(rows, factors):
        pixels, label = _read(images, labels, classes, rows)
        return zoom(pixels, factors)[..., None], label

    return _batches((order, factors), batch_size, draw)


def scoring(images: np.ndarray, labels: np.ndarray, classes: int) -> tf.data.Dataset:
    """All images once, in order, as the network sees them: shapes as in `training`, without zoom."""

    def draw(rows):
        pixels, label = _read(images, labels, classes, rows)
        return pixels[..., None], label

    batch_size = max(1, SCORED // images.shape[1] ** 2)
    return _batches(np.arange(len(images)), batch_size, draw)


def _read(images: np.ndarray, labels: np.ndarray, classes: int, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels (batch, size, size) float32 in 0..1 and one-hot labels (batch, classes) of these rows."""

    def take(rows):
        return images[rows], labels[rows]

    # Not a tensor of all images: arrays may be larger than the memory.
    pixels, label = tf.numpy_function(take, [rows], [tf.uint8, tf.uint8], stateful=False)
    pixels.set_shape((None, *images.shape[1:]))
    label.set_shape((None,))
    return tf.cast(pixels, tf.float32) / 255.0, tf.one_hot(label, classes)


def _batches(columns: np.ndarray | tuple[np.ndarray, ...], batch_size: int, draw: Callable) -> tf.data.Dataset:
    """Draws batches ahead on one thread of its own, off the training step's, on any machine."""
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_optimization.apply_default_optimizations = False  # they log errors and gain nothing here
    options.autotune.enabled = False  # there is nothing to tune, and its thread keeps an epoch from ending before 5 s
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    stream = tf.data.Dataset.from_tensor_slices(columns).batch(batch_size).map(draw)
    return stream.prefetch(AHEAD).with_options(options)
