"""Photos in, what `python -m src.predict --json` says of each face in them out."""

import base64
import binascii
import io
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from src.predict import photos
from src.predict.predictor import Predictor, Row

KINDS = "an image file's bytes, the same in base64, an array, or a pathlib.Path"


class Model:
    """A trained model with all that it takes to show it photos, loaded and ready.

    Args:
        folder: with model.h5 and calibration.json.

    Raises:
        UserError: as `Predictor`.
    """

    def __init__(self, folder: str):
        self._predictor = Predictor(Path(folder) / "model.h5")
        self._alone = Lock()  # a server answers on many threads, and each of them would need the memory of a batch
        # A server that says it is ready is as fast for the first photo as for the next, and TensorFlow has read its
        # settings.
        for cropped in (True, False):
            self.predict([np.zeros((96, 96), np.uint8)], {"cropped": cropped})

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """One row for each face, or one that says in `error` why there is none; nothing in a photo raises.

        Args:
            model_input: photos in a list, a one-column DataFrame or a stack of arrays; or one photo. Each is the bytes
                of an image file, the same in base64, an array (height, width) or (height, width, 3) uint8, grey or
                RGB, or the `pathlib.Path` of an image file. A string is never a path: it may come from anyone.
            params: {"cropped": True} where the photos are faces already; no face is looked for then.

        Returns:
            Rows with the fields of `src.predict.predictor.Row`. The field `photo` is the path, or "0" for the first
            photo, "1" for the second.
        """
        cropped = bool(params and params.get("cropped"))
        listed = (_read(str(number), item) for number, item in enumerate(_items(model_input)))
        with self._alone:
            return [_plain(row) for _, row in self._predictor.rows(listed, cropped)]


def _items(model_input: Any) -> list[Any]:
    if isinstance(model_input, pd.DataFrame) and model_input.shape[1] == 1:
        model_input = model_input.iloc[:, 0]
    if isinstance(model_input, list | tuple | pd.Series | np.ndarray):
        return list(model_input)
    return [model_input]


def _read(name: str, item: Any) -> photos.Photo | photos.Found:
    if isinstance(item, Path):
        return photos.read(str(item))
    try:
        data = _bytes(item)
    except ValueError as error:
        return photos.Found(name, error=str(error), readable=False)
    return photos.decoded(name, data)


def _bytes(item: Any) -> bytes:
    """An image file's bytes.

    Raises:
        ValueError: `item` is no photo.
    """
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    if isinstance(item, str):
        try:
            return base64.b64decode("".join(item.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"a text that is not base64; a photo is {KINDS}") from error
    if isinstance(item, np.ndarray):
        return _file(item)
    if isinstance(item, list):  # an array in JSON
        return _file(_whole(item))
    raise ValueError(f"a value of type {type(item).__name__}; a photo is {KINDS}")


def _whole(numbers: list[Any]) -> np.ndarray:
    """Nested lists of whole numbers from 0 to 255, as uint8."""
    try:
        values = np.array(numbers, np.float64)  # exact, and refuses text without making room for it
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError("a list that is no array of numbers, all rows as long as the first") from error
    if not ((values >= 0) & (values <= 255) & (values % 1 == 0)).all():
        raise ValueError("a list with other numbers than whole ones from 0 to 255")
    return values.astype(np.uint8)


def _file(pixels: np.ndarray) -> bytes:
    """An image file with these pixels, so that they are treated as those of any other."""
    if pixels.dtype != np.uint8 or pixels.size == 0 or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise ValueError(
            f"an array {pixels.shape} {pixels.dtype}; a photo is (height, width) or (height, width, 3) uint8, "
            "grey or RGB"
        )
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PPM")
    return file.getvalue()


def _plain(row: Row) -> dict[str, Any]:
    """As JSON has it."""
    return row._asdict() | {"box": row.box and list(row.box)}
