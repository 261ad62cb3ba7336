"""Preprocessed images as arrays that the network reads, memory-mappable.

A folder of arrays holds, per split, `<split>_images.npy` (n, size, size) uint8 and `<split>_labels.npy` (n,)
uint8, the label's position in params.yaml; rows stand in the order of `index.csv`, the manifest rows kept. Where
training goes by votes, `train_labels.npy` is (n, labels) float32, the share of each label in the votes.
"""

from pathlib import Path

import numpy as np


def load(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, size, size) uint8, memory-mapped, and labels (n,) uint8 or (n, labels) float32."""
    return np.load(folder / f"{split}_images.npy", mmap_mode="r"), np.load(folder / f"{split}_labels.npy")


def validation_split(folder: Path) -> str:
    """The split that is scored after every epoch: train itself where the policy gives no validation images."""
    return "validation" if (folder / "validation_images.npy").exists() else "train"


def scored_split(folder: Path) -> str:
    """The split that evaluate scores: test where the policy keeps one back, otherwise as after every epoch."""
    return "test" if (folder / "test_images.npy").exists() else validation_split(folder)
