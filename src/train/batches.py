"""Arrays -> batches. Each epoch's order and zoom depend on (seed, epoch) alone, so that any epoch can come first."""

import numpy as np

from src.model.inputs import Batches, batches
from src.params import Params
from src.train.augmentation import zoom


def training(images: np.ndarray, labels: np.ndarray, params: Params, epoch: int) -> Batches:
    """The shuffled, zoomed batches of one epoch (0 is the first).

    Args:
        images: (n, size, size) uint8, may be memory-mapped: only the rows of a batch are read.
        labels: (n,) positions in the dataset's labels, or (n, classes) the share of each.

    Returns:
        Batches of images (batch, size, size, 1) float32 in 0..1 and labels (batch, classes), one-hot
        where they are positions; the last one may be smaller, as in Keras.
    """
    reach, classes = params.augmentation.zoom, len(params.data.labels)
    rng = np.random.default_rng([params.seed, epoch])
    order = rng.permutation(len(images))
    factors = rng.uniform(1 - reach, 1 + reach, (len(images), 2)).astype(np.float32)

    return batches(images, labels, classes, (order, factors), params.batch_size, zoom)
