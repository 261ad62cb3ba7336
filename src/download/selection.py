"""A share of a dataset: which images stay, and how many of each label."""

import hashlib
from collections import Counter
from typing import TypeVar

from src.core.raw import Image
from src.errors import UserError

Key = TypeVar("Key")


def select(images: list[Image], share: float) -> list[Image]:
    """A deterministic selection of `share` of the images, the same share of each label in each folder.

    The report does not publish how it selected its second set; this rule is ours: in each cell (folder, label)
    the images whose names have the smallest SHA-256 stay. The total is rounded once; the cells share it by
    largest remainder.

    Raises:
        UserError: a cell would be left without an image.
    """
    sizes = Counter((image.folder, image.label) for image in images)
    keep = apportion(round(len(images) * share), sizes)
    if empty := ["/".join(cell) for cell, count in keep.items() if not count]:
        raise UserError(
            f"a selection of {share:.3g} of {len(images)} images leaves none in {', '.join(sorted(empty))}; it follows "
            "the numbers in datasets.<name>.labels, and those of the whole set"
        )
    ordered = sorted(images, key=lambda image: hashlib.sha256(image.member.encode()).digest())
    selected = []
    for image in ordered:
        cell = (image.folder, image.label)
        if keep[cell]:
            keep[cell] -= 1
            selected.append(image)
    return selected


def apportion(total: int, weights: dict[Key, int]) -> dict[Key, int]:
    """Divides `total` in proportion to `weights` into whole numbers, by largest remainder (Hamilton's method)."""
    whole = sum(weights.values())
    parts = {key: total * weight // whole for key, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda key: (-(total * weights[key] % whole), key))
    for key in by_remainder[: total - sum(parts.values())]:
        parts[key] += 1
    return parts
