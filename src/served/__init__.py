"""The trained model as MLflow loads it anywhere: in a server, in a notebook, without this repository.

MLflow keeps this folder with every model, and whatever else of src/ it imports (src/tracking/model.py).
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from src.served.model import Model


def _load_pyfunc(folder: str) -> "Model":
    """What MLflow asks of a `loader_module`: the model in `folder`, as an object with `predict`."""
    before = dict(os.environ)
    try:
        from src.served.model import Model  # which pins settings of TensorFlow, Keras and Matplotlib

        return Model(folder)
    finally:
        # What was to be read of them is read by now, and the process may have other plans for the rest.
        os.environ.clear()
        os.environ.update(before)
