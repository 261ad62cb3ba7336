"""What the first convolutional layer looks for, beside the Sobel filter with which the report explains filters."""

import json
from pathlib import Path

import h5py
import numpy as np

LEFT_SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)  # section 2.4 of the report
RANDOM = 10_000


def first_layer(path: Path) -> np.ndarray:
    """The filters (count, 3, 3) of the first convolutional layer in a model that the train stage saved."""
    with h5py.File(path) as file:
        listed = json.loads(file.attrs["model_config"])["config"]["layers"]
        name = next(layer["config"]["name"] for layer in listed if layer["class_name"] == "Conv2D")
        weights = file["model_weights"][name]
        kernel = weights.visititems(lambda place, item: item[()] if place.endswith("/kernel") else None)
    return np.moveaxis(kernel[:, :, 0, :], -1, 0).astype(np.float32)


def applied(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A convolutional layer's sum, without bias: image (h, w) uint8 as 0..1, 'valid' -> (h - 2, w - 2)."""
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.float32) / 255, kernel.shape)
    return np.einsum("hwij,ij->hw", windows, kernel)


def sobel_similarity(kernels: np.ndarray) -> np.ndarray:
    """Of each kernel (count, 3, 3) the best cosine similarity to a Sobel filter, (count,).

    The Sobel filters are eight: the left one turned by multiples of 45 degrees.
    """
    family = np.stack([_turned(eighths) for eighths in range(8)]).reshape(8, -1)
    flat = kernels.reshape(len(kernels), -1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True) * np.linalg.norm(family, axis=1)
    return (flat @ family.T / np.maximum(lengths, np.finfo(np.float32).tiny)).max(axis=1)


def random_similarity(seed: int) -> np.ndarray:
    """The same of filters drawn from a normal distribution: what a network that learned nothing would show."""
    return sobel_similarity(np.random.default_rng(seed).standard_normal((RANDOM, 3, 3)).astype(np.float32))


def _turned(eighths: int) -> np.ndarray:
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    turned = np.zeros_like(LEFT_SOBEL)
    for place, target in zip(ring, ring[eighths:] + ring[:eighths], strict=True):
        turned[target] = LEFT_SOBEL[place]
    return turned
