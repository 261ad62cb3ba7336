"""models/model.h5: the trained network in the report's own format, with what a prediction needs to know.

Whoever made such a file, it is data. Its network is not made from it: network.py reads its `Architecture`, the numbers
that set one network apart from another, from its configuration, and a network of these must have that very
configuration. Then the weights are read, from where they must lie. So nothing in a file is executed, and no more is
allocated than it holds.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from pydantic import ValidationError

from src.core.files import MODEL, replacing
from src.errors import UserError
from src.params import Align, InputSize, Interpolation, LabelNames, Name, Params, Section, Source, described

if TYPE_CHECKING:  # takes seconds, and who only wants to know the labels needs none of it
    import keras

    from src.model.network import Architecture

ATTRIBUTE = "face_emotions"


class Foreign(Exception):
    """What sets a configuration apart from those of network.py."""


class Known(Section):
    """What a model knows besides its weights; an experiment's own params, so that a prediction needs no others."""

    dataset: Name
    source: Source
    labels: LabelNames
    input_size: InputSize
    interpolation: Interpolation
    align: Align


def save(model: "keras.Model", path: Path, params: Params) -> None:
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
        model.save(temporary, include_optimizer=False)
        with h5py.File(temporary, "a") as file:
            file.attrs[ATTRIBUTE] = json.dumps(known.model_dump(mode="json"))


def known(path: Path) -> Known:
    """What the model in `path` knows, without TensorFlow; errors as in `load`."""
    with _reading(path) as file:
        return Known.model_validate_json(_text(file, ATTRIBUTE))


def load(path: Path) -> "tuple[keras.Model, Known]":
    """The network of a saved model, for predicting (not compiled), and what it knows.

    Raises:
        UserError: the file is not such a model, is damaged, holds anything but a network of network.py, or weights that
            are no numbers.
    """
    from src.model import network

    told = known(path)
    with _reading(path) as file:
        try:
            architecture, outline = _recognised(json.loads(_text(file, "model_config")))
        except Foreign as error:
            raise UserError(
                f"{path} holds {_short(str(error))}, which is not part of the network in {network.FILE} and may "
                "execute code; it was not loaded"
            ) from error
        size, labels = told.input_size, len(told.labels)
        if (architecture.input_size, architecture.labels) != (size, labels):
            raise UserError(f"{path}: the network is not one for {size} pixels and {labels} labels")
        if (values := network.values_of(outline)) > network.MOST_VALUES:
            raise ValueError(f"a layer of it gives {values:,} values")
        if 4 * (weights := network.size_of(outline)) > path.stat().st_size:
            raise ValueError(f"its network of {weights:,} weights does not fit into {path.stat().st_size:,} bytes")
        read = {
            place: _values(path, file, place, tuple(weight.shape)) for place, weight in network.weights(outline).items()
        }
    model = network.assembled(architecture)
    for place, weight in network.weights(model).items():
        weight.assign(read[place])
    return model, told


def check(params: Params) -> None:
    """Finds out before a training whether its network can be used after it: saves one, and loads it again.

    Raises:
        UserError: it cannot; for whoever edited network.py.
    """
    from src.model import network

    model = network.build(params)
    network.check(model)
    image = np.random.default_rng(0).random((1, *model.input_shape[1:]), np.float32)
    with TemporaryDirectory() as folder:
        path = Path(folder, MODEL.name)
        try:
            save(model, path, params)
        except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            raise UserError(f"{network.FILE}: Keras cannot save this network: {_short(_line(error))}") from error
        try:
            with h5py.File(path) as file:
                _recognised(json.loads(_text(file, "model_config")))
            loaded, _ = load(path)
        except UserError as error:
            why = _short(_line(error.__cause__ or error))
            raise UserError(f"{network.FILE}: a model of this network could not be loaded: {why}") from error
        except Foreign as error:
            why = _short(f"{error}{f' ({error.__cause__!r})' if error.__cause__ else ''}")
            raise UserError(
                f"{network.FILE}: a model of this network would not be known again by {why}; give every layer in "
                "`stack` a name, and edit `read` so that it finds all that `stack` takes from an Architecture"
            ) from error
    if not np.array_equal(model(image, training=False), loaded(image, training=False)):
        raise UserError(f"{network.FILE}: a model of this network gives other probabilities once it is loaded")


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """The file; what goes wrong while it is read becomes one line that names it."""
    try:
        with h5py.File(path) as file:
            yield file
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; train one: dvc repro") from error
    except Exception as error:  # whatever HDF5 meets in a damaged file
        if isinstance(error, OSError) and error.errno:
            raise UserError(f"{path} cannot be read: {os.strerror(error.errno)}") from error
        why = _short("; ".join(described(error)) if isinstance(error, ValidationError) else _line(error))
        raise UserError(f"{path} is not a model that the train stage wrote; train one: dvc repro ({why})") from error


def _text(file: h5py.File, name: str) -> str:
    if file.attrs.get_id(name).shape != ():  # each of many could be the same long one
        raise ValueError(f"{name} is not one text")
    return file.attrs[name]


def _recognised(config: Any) -> "tuple[Architecture, keras.Sequential]":
    """The network of which this is the configuration: what sets it apart, and its outline.

    Raises:
        Foreign: it is none of network.py's.
    """
    from src.model import network

    try:
        read = network.read(config["config"]["layers"])
        architecture = network.Architecture.model_validate_json(json.dumps(read))
        outline = network.outline(architecture)
        config["config"]["layers"][0]["config"].pop("name")  # models of before counted it through
        foreign = _difference(config, _config(outline))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:  # not even its numbers can be read
        raise Foreign(_kinds(config)) from error
    if foreign:
        raise Foreign(foreign)
    return architecture, outline


def _config(outline: "keras.Sequential") -> dict[str, Any]:
    """What Keras writes into an HDF5 file as the configuration of such a network, without the name of its input."""
    config = outline.get_config()
    config["layers"] = [
        {"class_name": layer["registered_name"] or layer["class_name"], "config": layer["config"]}
        for layer in config["layers"]
    ]
    config["layers"][0]["config"].pop("name")
    return json.loads(json.dumps({"class_name": "Sequential", "config": config}))


def _difference(found: Any, expected: Any, place: str = "") -> str:
    """The first place where a configuration says something that it should not; empty where there is none."""
    if isinstance(expected, dict) and isinstance(found, dict):
        pairs = [(key, found.get(key), expected.get(key)) for key in expected | found]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = [(number, *pair) for number, pair in enumerate(zip(found, expected, strict=True))]
    else:
        return "" if found == expected else f"{place} = {found!r}"
    return next(filter(None, (_difference(one, other, f"{place}.{key}".strip(".")) for key, one, other in pairs)), "")


def _kinds(config: Any) -> str:
    try:
        return f"the layers {', '.join(str(layer['class_name']) for layer in config['config']['layers'])}"
    except (KeyError, TypeError):
        return "no layers"


def _values(path: Path, file: h5py.File, place: str, shape: tuple[int, ...]) -> np.ndarray:
    """The values of one weight, which must lie in the file where and how Keras writes them."""
    layer, weight = place.split("/")[0], place.split("/")[-1]
    place = f"model_weights/{place}"
    item = file
    for part in place.split("/"):
        if not isinstance(item, h5py.Group) or not isinstance(item.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{place} is not in it")
        item = item[part]
    if not isinstance(item, h5py.Dataset) or (item.shape, item.dtype) != (shape, np.dtype("<f4")):
        raise ValueError(f"{place} is not of float32 values {shape}")
    # As they are, in one piece: not compressed, not in another file, not left away because all are the same.
    whole = item.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS and not item.external
    if not whole or item.id.get_storage_size() != item.nbytes:
        raise ValueError(f"{place} is not stored as it is")
    values = item[()]
    if not np.isfinite(values).all() or (weight == "moving_variance" and (values < 0).any()):
        raise UserError(
            f"{path}: the weights {layer}/{weight} are no numbers to calculate with; train it again: dvc repro"
        )
    return values


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"
