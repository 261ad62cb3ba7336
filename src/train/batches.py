"""Arrays -> batches. Each epoch's order and zoom depend on (seed, epoch) alone, so that any epoch can come first."""

import numpy as np
import tensorflow as tf

from src.model.inputs import Batches, batches, read
from src.train.augmentation import zoom


def training(
    images: np.ndarray, labels: np.ndarray, classes: int, batch_size: int, zoom_range: float, seed: int, epoch: int
) -> Batches:
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

    def draw(rows: tf.Tensor, factors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels, label = read(images, labels, classes, rows)
        return tf.expand_dims(zoom(pixels, factors), -1), label

    return batches((order, factors), batch_size, draw)
