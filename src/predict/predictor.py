"""A trained model and photos -> what the network says to each face in them."""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from src.evaluate import calibration
from src.model import saved
from src.predict import photos
from src.segmentation import SEGMENTATION

if TYPE_CHECKING:  # they import TensorFlow, which takes seconds
    import keras

    from src.faces.alignment import Straightener
    from src.faces.detection import Detector


Batch = TypeVar("Batch")


class Row(NamedTuple):
    """One face of a photo, or a photo of which there is nothing to say but `error`."""

    photo: str
    face: int | None
    box: tuple[int, int, int, int] | None
    roll: float | None
    label: str | None
    probability: float | None
    probabilities: dict[str, float] | None
    error: str | None


def beside(model: Path) -> list[Path]:
    """The files that belong to a model, in its folder: its calibration, and what it takes to straighten its faces."""
    names = [calibration.NAME, *([SEGMENTATION.name] if saved.metadata(model).align == "segmentation" else [])]
    return [model.with_name(name) for name in names]


class Predictor:
    """A trained model, with all that it takes to show it photos. TensorFlow waits for the first that can be read.

    Args:
        path: of model.h5, with the files `beside` it.
        usable: of the network that tells usable faces from others; without it, all count as usable.

    Raises:
        UserError: one of the files is not what the stages wrote, or the first two do not belong together.
    """

    def __init__(self, path: Path, usable: Path | None = None):
        self._usable = usable
        self._temperature = calibration.load(path)
        self._metadata = saved.metadata(path)
        self._path = path
        self._model: keras.Model | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's, in the order of its outputs."""
        return self._metadata.labels

    def _network(self) -> "keras.Model":
        """Loaded once; sets TensorFlow up, which finding faces needs, too."""
        if self._model is None:
            from src.core import runtime

            try:
                runtime.configure(portable=True)
            except RuntimeError as error:  # somebody's notebook, say, has computed with it already
                logging.getLogger(__name__).warning(
                    "probabilities may differ in their last digits, as TensorFlow was in use before: %s", error
                )
            self._model, _ = saved.load(self._path)
        return self._model

    @cached_property
    def _detector(self) -> "Detector":
        from src.faces.detection import Detector

        return Detector()

    @cached_property
    def _straightener(self) -> "Straightener | None":
        from src.faces.alignment import straightener

        return straightener(self._metadata.align, self._metadata.input_size, self._path.with_name(SEGMENTATION.name))

    @cached_property
    def _judge(self) -> "keras.Sequential | None":
        from src.usable import network

        return network.load(self._usable) if self._usable else None

    @property
    def parameters(self) -> int:
        """How many numbers the model holds."""
        return self._network().count_params()

    def rows(self, listed: Iterable[photos.Photo | photos.Found], cropped: bool) -> Iterator[tuple[photos.Found, Row]]:
        """What is found in the photos, in their order, and what the network says to it."""
        for batch in ahead(self._faces(batch, cropped) for batch in photos.batches(listed)):
            faces = [found.pixels for found in batch if found.pixels is not None]
            answers = iter(self._probabilities(np.stack(faces)) if faces else ())
            for found in batch:
                yield found, _row(found, self.labels, None if found.pixels is None else next(answers))

    def _faces(self, batch: list[photos.Photo | photos.Found], cropped: bool) -> list[photos.Found]:
        unreadable = [photo for photo in batch if isinstance(photo, photos.Found)]
        if len(unreadable) == len(batch):
            return unreadable
        self._network()
        if cropped:
            return self._expelled(photos.cropped(batch, self._metadata, self._straightener))
        return self._expelled(photos.detected(batch, self._metadata, self._detector))

    def _expelled(self, batch: list[photos.Found]) -> list[photos.Found]:
        """Says of each face that cannot be used that it cannot, in place of its pixels."""
        if self._judge is None:
            return batch
        from src.usable import network

        said = iter(network.scores(self._judge, [found.pixels for found in batch if found.pixels is not None]))
        scores = [(found, None if found.pixels is None else float(next(said))) for found in batch]
        return [
            found
            if score is None or score >= network.THRESHOLD
            else found._replace(pixels=None, error=f"unusable ({score:.2f})")
            for found, score in scores
        ]

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        network = self._network()
        from src.model import inputs

        return calibration.tempered(inputs.probabilities(network, images), self._temperature)


def _row(found: photos.Found, labels: tuple[str, ...], answer: np.ndarray | None) -> Row:
    place = (found.photo, found.number, found.box, None if found.roll is None else round(found.roll, 1))
    if answer is None:
        return Row(*place, None, None, None, found.error)
    values = dict(zip(labels, (round(float(value), 4) for value in answer), strict=True))
    best = labels[int(answer.argmax())]
    return Row(*place, best, values[best], values, None)


def ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same batches; the next one is made on another thread meanwhile."""
    iterator = iter(batches)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, iterator, None)
        while (batch := following.result()) is not None:
            following = pool.submit(next, iterator, None)
            yield batch
