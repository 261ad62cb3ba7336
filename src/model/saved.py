"""models/model.h5: the trained network in the report's own format, with what a prediction needs to know."""

import json
from pathlib import Path

import h5py
import keras

from src.files import replacing
from src.params import Params

ATTRIBUTE = "face_emotions"


def save(model: keras.Model, path: Path, params: Params) -> None:
    """Keras's HDF5 file (no date in it, unlike `.keras`), plus labels, input size and preprocessing as JSON."""
    known = {
        "dataset": params.dataset,
        "source": params.source,
        "labels": list(params.data.labels),
        "input_size": params.data.input_size,
        "interpolation": params.preprocess.interpolation,
    }
    with replacing(path) as temporary:
        # Keras tells the format by the ending of the name.
        with_ending = temporary.with_name(temporary.name + ".h5")
        model.save(with_ending, include_optimizer=False)
        with_ending.rename(temporary)
        with h5py.File(temporary, "a") as file:
            file.attrs[ATTRIBUTE] = json.dumps(known)


def load(path: Path) -> keras.Model:
    """The network of a saved model, for predicting; not compiled."""
    return keras.models.load_model(path, compile=False)
