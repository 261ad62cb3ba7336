"""Faces drawn by the code itself, so that the whole experiment runs offline on a fresh machine.

A person (person.py) shows an expression (expression.py); both move the control points of features.py and head.py,
which a Pencil turns with the head and draws; light.py shades the head, photo.py adds exposure and a sensor's noise.
From 128 pixels a side on pictures are portraits in colour; below, cut out around the face and grey, as FER-2013's.

A share `label_noise` of the images is filed under a label that they do not show. A name holds what is shown:
`train/angry/00012_happy.jpg` is a happy face labelled angry.

How hard the sets are, with the report's network, label_noise 0.1 and scale 0.1: three layers reach 0.70 on the faces
they have not trained on, two 0.53, one 0.44 (set ai); with half the images three layers reach 0.61, as accurate in
training. The portraits give 0.45 at 208 pixels after 20 epochs, at 48 pixels 0.38. Strength, blends (expression.py),
hands and noise (photo.py) and the portraits' framing (person.py) set this.

The same seed and index give the same bytes on any x86-64 CPU, in whatever order and by however many processes
images are drawn: random numbers come from integers, arithmetic is plain IEEE (no sum or product of matrices, whose
order depends on the CPU), sines are rounded before use, OpenCV draws, blurs and resizes in fixed point, and
libjpeg's integer transform is the same with and without vector instructions.
"""

from functools import partial

import cv2
import numpy as np

from src.errors import UserError
from src.params import Dataset, Rendered
from src.sources.archive import Image, apportion
from src.sources.labels import canonical
from src.sources.rendered.expression import PROTOTYPES
from src.sources.rendered.photo import take


def images(dataset: Dataset, params: Rendered) -> list[Image]:
    """Lists the set's images; each is drawn only when it is read.

    Raises:
        UserError: a label without a prototype, or a scale that leaves a label without an image in a folder.
    """
    unknown = [label for label in dataset.labels if canonical(label) not in PROTOTYPES]
    if unknown:
        raise UserError(f"source: rendered cannot draw {', '.join(unknown)}; it knows {', '.join(PROTOTYPES)}")
    total = apportion(round(dataset.images * params.scale), dataset.labels)
    test = apportion(round(sum(total.values()) * params.test_share), total)
    listed: list[Image] = []
    for label in dataset.labels:
        counts = {"train": total[label] - test[label], "test": test[label]}
        if min(counts.values()) < 1:
            raise UserError(
                f"rendered.scale = {params.scale} and rendered.test_share = {params.test_share} leave {label} "
                f"without images in train or test"
            )
        for folder, count in counts.items():
            for _ in range(count):
                index = len(listed)
                shown = _shown(index, label, list(dataset.labels), params)
                read = partial(_read, index, canonical(shown), dataset.native_size, params.seed)
                listed.append(Image(folder, label, f"{index:05d}_{shown}.jpg", read))
    return listed


def _shown(index: int, label: str, labels: list[str], params: Rendered) -> str:
    """The label of what is drawn: `label`, or in a share `label_noise` of the images any other."""
    rng = np.random.default_rng([params.seed, index, 0])
    if rng.random() >= params.label_noise:
        return label
    others = [other for other in labels if other != label]
    return others[int(rng.integers(len(others)))]


def draw(index: int, emotion: str, size: int, seed: int) -> np.ndarray:
    """Face number `index`, showing `emotion` -> (size, size) uint8, or (size, size, 3), blue first."""
    return take(emotion, size, np.random.default_rng([seed, index, 1]))


def _read(index: int, emotion: str, size: int, seed: int) -> bytes:
    quality = int(np.random.default_rng([seed, index, 2]).integers(80, 98))
    pixels = draw(index, emotion, size, seed)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
