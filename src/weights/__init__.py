"""A network's weights as one array in an .npy file: data, and nothing that could be executed."""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.core.files import replacing
from src.errors import UserError

if TYPE_CHECKING:
    import keras


def save(model: "keras.Model", path: Path) -> None:
    """All weights in their order, float32."""
    content = io.BytesIO()  # since NumPy does not say why a file cannot be written
    np.save(content, np.concatenate([values.ravel() for values in model.get_weights()]))
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def load(model: "keras.Model", path: Path, stage: str) -> None:
    """Gives `model` the weights in `path`, which `stage` has written.

    Raises:
        UserError: there is no such file, or it holds something else.
    """
    shapes = [values.shape for values in model.get_weights()]
    again = f"make it again: dvc repro -f {stage}"
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; make it: dvc repro {stage}") from error
    except (EOFError, OSError, ValueError) as error:
        raise UserError(f"{path} holds no weights; {again} ({error})") from error
    count = sum(map(math.prod, shapes))
    if not isinstance(values, np.ndarray) or (values.shape, values.dtype) != ((count,), np.float32):
        raise UserError(f"{path} does not hold {count} weights of float32; {again}")
    if not np.isfinite(values).all():
        raise UserError(f"{path} holds weights that are no numbers; {again}")
    parts = np.split(values, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
    model.set_weights([part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])
