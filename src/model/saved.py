"""models/model.h5: the trained network in the report's own format, with what a prediction needs to know."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import h5py
import keras
from pydantic import Field, ValidationError

from src.errors import UserError
from src.files import replacing
from src.params import Align, Interpolation, Params, Section

ATTRIBUTE = "face_emotions"
# All that src/model/network.py builds. Anything else in a file, a Lambda layer say, could bring code along.
ALLOWED = {
    *(
        "Sequential",
        "InputLayer",
        "Conv2D",
        "MaxPooling2D",
        "ReLU",
        "BatchNormalization",
        "Dropout",
        "Flatten",
        "Dense",
    ),
    *("DTypePolicy", "GlorotUniform", "Zeros", "Ones"),
}
MODULES = {None, "keras", "keras.layers", "keras.initializers"}


class Known(Section):
    """What a model knows besides its weights; an experiment's own params, so that a prediction needs no others."""

    dataset: str
    source: str
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    input_size: Annotated[int, Field(ge=8, le=1024)]
    interpolation: Interpolation
    align: Align


def save(model: keras.Model, path: Path, params: Params) -> None:
    """Keras's HDF5 file (no date in it, unlike `.keras`), plus what is `Known`, as JSON."""
    known = Known(
        dataset=params.dataset,
        source=params.source,
        labels=tuple(params.data.labels),
        input_size=params.data.input_size,
        interpolation=params.preprocess.interpolation,
        align=params.preprocess.align,
    )
    with replacing(path) as temporary:
        # Keras tells the format by the ending of the name.
        with_ending = temporary.with_name(temporary.name + ".h5")
        model.save(with_ending, include_optimizer=False)
        with_ending.rename(temporary)
        with h5py.File(temporary, "a") as file:
            file.attrs[ATTRIBUTE] = json.dumps(known.model_dump(mode="json"))


def load(path: Path) -> tuple[keras.Model, Known]:
    """The network of a saved model, for predicting (not compiled), and what it knows.

    Raises:
        UserError: the file is not such a model, is damaged, or holds anything but the layers of the report's network;
            nothing in it is executed.
    """
    try:
        with h5py.File(path) as file:
            config, known = json.loads(file.attrs["model_config"]), json.loads(file.attrs[ATTRIBUTE])
        known = Known.model_validate_json(json.dumps(known))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; train one: dvc repro") from error
    except (OSError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise UserError(f"{path} is not a model that the train stage wrote; train one: dvc repro ({error})") from error
    if foreign := sorted(set(_foreign(config))):
        raise UserError(
            f"{path} holds {', '.join(foreign)}, which is not part of the report's network and may execute code; "
            "it was not loaded"
        )
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever Keras and HDF5 meet in a damaged file
        raise UserError(f"{path} is damaged; train it again: dvc repro ({error})") from error
    size = known.input_size
    if (model.input_shape, model.output_shape) != ((None, size, size, 1), (None, len(known.labels))):
        raise UserError(f"{path}: the network is not one for {size} pixels and {len(known.labels)} labels")
    return model, known


def _foreign(config: object) -> Iterator[str]:
    """Names of what the configuration of a Sequential model holds besides what is allowed."""
    if isinstance(config, list):
        for item in config:
            yield from _foreign(item)
    if isinstance(config, dict):
        if "class_name" in config:
            allowed = config.get("module") in MODULES and config.get("registered_name") is None
            if not (allowed and config["class_name"] in ALLOWED):
                yield str(config["class_name"])
        for value in config.values():
            yield from _foreign(value)
