"""Which images are the same, or nearly the same."""

import hashlib
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from src import progress
from src.core import images, raw

SIDE = 16  # a perceptual hash of 16 x 16 = 256 bits


def fingerprint(archive: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Reads every image of an archive once.

    Returns:
        The columns member, sha256 (of the file), sorted by member; and the perceptual hashes (n, 4) uint64. An
        image that cannot be decoded gets the hash of its bytes, so that it resembles nothing; preprocess names it.
    """
    rows, hashes = [], []
    with raw.opened(archive) as opened:
        for member in progress.bar(sorted(opened.namelist()), "hash"):
            data = raw.read(opened, member)
            digest = hashlib.sha256(data)
            rows.append((member, digest.hexdigest()))
            hashes.append(_perceptual(data) or digest.digest())
    return pd.DataFrame(rows, columns=["member", "sha256"]), np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, 4)


def _perceptual(data: bytes) -> bytes | None:
    """The difference hash (is each pixel of a shrunk image brighter than its left neighbour?) in 32 bytes.

    Integer arithmetic throughout, unlike hashes that take a cosine transform, so it is the same on every CPU.
    """
    try:
        return np.packbits(imagehash.dhash(Image.fromarray(images.decode(data)), SIDE).hash).tobytes()
    except ValueError:
        return None


def groups(sha256: pd.Series, hashes: np.ndarray, bits: int) -> np.ndarray:
    """A group number per image (n,), by first appearance; a group is linked by equal bytes or near hashes.

    Args:
        bits: perceptual hashes that differ in at most so many of 256 bits make near-duplicates.
    """
    exact = pd.factorize(sha256)[0]
    first = np.unique(exact, return_index=True)[1]  # one row per content
    left, right = _near(hashes[first], bits)
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(len(first), len(first)))
    component = connected_components(links, directed=False)[1]
    return pd.factorize(component[exact])[0]


def _near(hashes: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (left < right) of rows whose hashes differ in at most `bits`; every pair is compared, in blocks."""
    pairs = []
    for start in range(0, len(hashes), 256):
        block = hashes[start : start + 256]
        distance = np.zeros((len(block), len(hashes) - start), np.uint16)
        for word in range(hashes.shape[1]):
            distance += np.bitwise_count(block[:, word, None] ^ hashes[None, start:, word])
        near = distance <= bits
        near[~block.any(axis=1)] = False  # of one tone: every such image has this hash, and they need not be alike
        left, right = np.nonzero(near)
        pairs.append(np.stack([left, right])[:, left < right] + start)
    return tuple(np.concatenate(pairs, axis=1))
