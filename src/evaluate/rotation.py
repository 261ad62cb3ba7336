"""What a turned head costs: held-out faces, turned by an angle, as the network then sees them."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from src.core import images, raw
from src.faces.alignment import turned

BATCH = 256


def batches(
    archive: Path,
    members: list[str],
    degrees: float,
    straighten: Callable[[list[np.ndarray]], list[np.ndarray]] | None,
    size: int,
    interpolation: str,
) -> Iterator[np.ndarray]:
    """Images of the archive, turned, and then what preprocess makes of them: (batch, size, size) uint8, in order."""
    with raw.opened(archive) as opened:
        remaining = iter(members)
        while batch := list(islice(remaining, BATCH)):
            faces = [turned(images.decode(raw.read(opened, member)), degrees) for member in batch]
            faces = straighten(faces) if straighten else faces
            yield np.stack([images.resize(face, size, interpolation) for face in faces])
