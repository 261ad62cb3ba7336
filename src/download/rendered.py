"""The source of drawn faces: how many of each label, and under which label each is filed.

A share `label_noise` of the images is filed under a label that they do not show. A name holds what is shown:
`train/angry/00012_happy.jpg` is a happy face labelled angry.
"""

from functools import partial

import cv2
import numpy as np

from src.core.labels import canonical
from src.core.raw import Image
from src.download.selection import apportion
from src.drawn import PROTOTYPES, draw
from src.errors import UserError
from src.params import Dataset, Rendered


def images(dataset: Dataset, rendered: Rendered) -> list[Image]:
    """Lists the set's images; each is drawn only when it is read.

    Raises:
        UserError: a label without a prototype, or a scale that leaves a label without an image in a folder.
    """
    unknown = [label for label in dataset.labels if canonical(label) not in PROTOTYPES]
    if unknown:
        raise UserError(
            f"source: rendered cannot draw {', '.join(unknown)}; it knows {', '.join(PROTOTYPES)}. Faces with other "
            "labels come from a zip or folder: -S source=local -S local_path=faces.zip"
        )
    total = apportion(round(dataset.images * rendered.scale), dataset.labels)
    test = apportion(round(sum(total.values()) * rendered.test_share), total)
    listed: list[Image] = []
    for label in dataset.labels:
        counts = {"train": total[label] - test[label], "test": test[label]}
        if min(counts.values()) < 1:
            raise UserError(
                f"rendered.scale = {rendered.scale} and rendered.test_share = {rendered.test_share} leave {label} "
                f"without images in train or test"
            )
        for folder, count in counts.items():
            for _ in range(count):
                index = len(listed)
                shown = _shown(index, label, list(dataset.labels), rendered)
                read = partial(_read, index, canonical(shown), dataset.native_size, rendered.seed)
                listed.append(Image(folder, label, f"{index:05d}_{shown}.jpg", read))
    return listed


def _shown(index: int, label: str, labels: list[str], rendered: Rendered) -> str:
    """The label of what is drawn: `label`, or in a share `label_noise` of the images any other."""
    rng = np.random.default_rng([rendered.seed, index, 0])
    if rng.random() >= rendered.label_noise:
        return label
    others = [other for other in labels if other != label]
    return others[int(rng.integers(len(others)))]


def _read(index: int, emotion: str, size: int, seed: int) -> bytes:
    quality = int(np.random.default_rng([seed, index, 2]).integers(80, 98))
    pixels = draw(index, emotion, size, seed)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
