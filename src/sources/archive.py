"""Raw data is one zip per dataset: members `train/<label>/<name>` and `test/<label>/<name>`, never unpacked."""

import hashlib
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

from tqdm import tqdm

from src.errors import UserError
from src.files import replacing

FOLDERS = ("test", "train")
Key = TypeVar("Key")


class Image(NamedTuple):
    """One image of a source. `read` gives the bytes of its file, undecoded."""

    folder: str
    label: str
    name: str
    read: Callable[[], bytes]

    @property
    def member(self) -> str:
        return f"{self.folder}/{self.label}/{self.name}"


def write(path: Path, images: Iterable[Image]) -> None:
    """Writes the canonical archive: sorted, stored, one fixed date, so that equal images give equal bytes.

    Raises:
        UserError: when two images have the same member name.
    """
    ordered = sorted(images, key=lambda image: image.member)
    for first, second in pairwise(ordered):
        if first.member == second.member:
            raise UserError(f"two images are both named {first.member}; rename one of them")
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for image in tqdm(ordered, desc=path.name, unit="image", mininterval=1):
            info = zipfile.ZipInfo(image.member)  # dated 1980-01-01 unless told otherwise
            info.create_system = 3  # Unix: the default is the platform's
            archive.writestr(info, image.read())


def select(images: list[Image], share: float) -> list[Image]:
    """A deterministic selection of `share` of the images, the same share of each label in each folder.

    The report does not publish how it selected its second set; this rule is ours: in each cell (folder, label)
    the images whose names have the smallest SHA-256 stay. The total is rounded once; the cells share it by
    largest remainder.
    """
    sizes = Counter((image.folder, image.label) for image in images)
    keep = apportion(round(len(images) * share), sizes)
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
