"""The network that says whether a picture is a face of which an emotion can be read: 83,442 weights, learned from drawn
pictures (examples.py). models/usable.npy holds them, and nothing that could be executed."""

import math
from pathlib import Path

import cv2
import keras
import numpy as np
from keras import layers

from src import weights
from src.usable import SIZE, USABLE

FILTERS = 16, 32, 48, 64  # of its convolutions, each with a pooling behind it
UNITS = 64
THRESHOLD = 0.5  # from which a picture can be used; the last bias is moved until that is so


def build() -> keras.Sequential:
    """With weights drawn by Keras's random numbers. It says how likely a picture cannot and can be used."""
    convolutions = [
        layer
        for filters in FILTERS
        for layer in (layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D())
    ]
    dense = [layers.Flatten(), layers.Dropout(0.25), layers.Dense(UNITS, "relu")]
    # Two outputs, as what is multiplied with a single column has other bits on other CPUs.
    return keras.Sequential([layers.Input((SIZE, SIZE, 1)), *convolutions, *dense, layers.Dense(2, "softmax")])


def move_threshold(model: keras.Sequential, score: float) -> None:
    """Moves the last bias until pictures of this score have that of THRESHOLD."""
    score = min(max(score, 1e-6), 1 - 1e-6)
    *others, bias = model.get_weights()
    logit = round(math.log(score / (1 - score)), 4)  # the last digit of a logarithm is not the same everywhere
    model.set_weights([*others, bias - np.array([0, logit], np.float32)])


def load(path: Path) -> keras.Sequential:
    """The saved network; errors as `weights.load`."""
    model = build()
    weights.load(model, path, "usable")
    return model


def scores(model: keras.Sequential, images: list[np.ndarray]) -> np.ndarray:
    """How usable each image (height, width) uint8 is, 0 to 1, as (n,) float32; from THRESHOLD on it can be used."""
    if not images:
        return np.zeros(0, np.float32)
    size, how = (SIZE, SIZE), cv2.INTER_AREA
    small = np.stack([one if one.shape == size else cv2.resize(one, size, interpolation=how) for one in images])
    # Two at least: how oneDNN convolves a single one has other bits on other CPUs.
    together = small if len(small) > 1 else np.repeat(small, 2, axis=0)
    return model.predict_on_batch(together[..., None].astype(np.float32) / 255)[: len(small), 1]


class Filter:
    """Leaves out of batches of images what cannot be used, and counts it."""

    def __init__(self) -> None:
        self._network = load(USABLE)
        self.images = self.expelled = 0

    def __call__(self, images: list[np.ndarray]) -> list[np.ndarray | None]:
        """Images (height, width) uint8 -> the same, None for each that cannot be used."""
        kept = scores(self._network, images) >= THRESHOLD
        self.images += len(kept)
        self.expelled += int((~kept).sum())
        return [image if good else None for image, good in zip(images, kept, strict=True)]

    def metrics(self) -> dict[str, int]:
        """Of how many images how many were left out."""
        return {"judged": self.images, "expelled": self.expelled}
