"""A small U-Net (Ronneberger, Fischer and Brox, 2015) for faces, learned from drawn ones (examples.py).

It adds what comes from below to what was there before, as LinkNet does (Chaurasia and Culurciello, 2017), and ends at
half the picture's size: its masks are there to find middles of eyes and mouths.
"""

from pathlib import Path

import cv2
import keras
import numpy as np
from keras import layers

from src import weights
from src.segmentation import CELLS, PARTS, SIZE

DOWN = 16, 32, 64, 96  # filters on the way down, each behind the first with a pooling before it
UP = 48, 32  # on the way up, to a quarter and to half of the picture's size
AT_ONCE = 256


def build() -> keras.Model:
    """With weights drawn by Keras's random numbers; gives logits (batch, CELLS, CELLS, parts)."""
    inputs = at = layers.Input((SIZE, SIZE, 1))
    before = []
    for number, filters in enumerate(DOWN):
        at = layers.MaxPooling2D()(at) if number else at
        at = _convolved(at, filters)
        before.append(at)
    for filters, beside in zip(UP, (before[2], before[1]), strict=True):
        below = layers.UpSampling2D()(layers.Conv2D(filters, 1)(at))
        at = layers.ReLU()(layers.Add()([below, layers.Conv2D(filters, 1)(beside)]))
        at = _convolved(at, filters)
    return keras.Model(inputs, layers.Conv2D(len(PARTS), 1)(at))


def _convolved(at: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    convolved = layers.Conv2D(filters, 3, padding="same", use_bias=False)(at)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(convolved))


def load(path: Path) -> keras.Model:
    """The saved network; errors as `weights.load`."""
    model = build()
    weights.load(model, path, "segmentation")
    return model


def probabilities(model: keras.Model, images: list[np.ndarray]) -> np.ndarray:
    """How likely each cell of each image (height, width) uint8 belongs to each of PARTS: (n, CELLS, CELLS, parts)."""
    size, how = (SIZE, SIZE), cv2.INTER_AREA
    small = [one if one.shape == size else cv2.resize(one, size, interpolation=how) for one in images]
    answers = [np.zeros((0, CELLS, CELLS, len(PARTS)), np.float32)]
    for start in range(0, len(small), AT_ONCE):
        batch = np.stack(small[start : start + AT_ONCE])
        # Two at least: how oneDNN convolves a single one has other bits on other CPUs.
        together = batch if len(batch) > 1 else np.repeat(batch, 2, axis=0)
        answers.append(model.predict_on_batch(together[..., None].astype(np.float32) / 255)[: len(batch)])
    logits = np.concatenate(answers)
    likely = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return likely / likely.sum(axis=-1, keepdims=True)
