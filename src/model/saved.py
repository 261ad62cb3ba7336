"""models/model.h5: the trained network in the report's own format, with what a prediction needs to know.

Whoever made such a file, it is data. Its network is not made from it: the numbers that set one network of network.py
apart from another are read from its configuration, and a network of these must have that very configuration. Then the
weights are read, from where they must lie. So nothing in a file is executed, and no more is allocated than it holds.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from pydantic import ValidationError

from src.core.files import replacing
from src.errors import UserError
from src.params import Align, InputSize, Interpolation, LabelNames, Name, Params, Section, Source, described

if TYPE_CHECKING:  # takes seconds, and who only wants to know the labels needs none of it
    import keras

    from src.model.network import Architecture

ATTRIBUTE = "face_emotions"
Weights = dict[str, dict[str, np.ndarray]]  # {layer: {weight: values}}


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
        UserError: the file is not such a model, is damaged, holds anything but the report's network, or weights that
            are no numbers.
    """
    import keras

    from src.model import network

    told = known(path)
    with _reading(path) as file:
        architecture, parts = _network(path, json.loads(_text(file, "model_config")))
        size, labels = told.input_size, len(told.labels)
        if (architecture.input_size, architecture.labels) != (size, labels):
            raise UserError(f"{path}: the network is not one for {size} pixels and {labels} labels")
        if (values := network.values_of(parts)) > network.MOST_VALUES:
            raise ValueError(f"a layer of it gives {values:,} values")
        if 4 * (weights := network.weights_of(parts)) > path.stat().st_size:
            raise ValueError(f"its network of {weights:,} weights does not fit into {path.stat().st_size:,} bytes")
        read = {
            layer: {weight: _values(path, file, layer, weight, shape) for weight, shape in shapes.items()}
            for layer, shapes in network.weight_shapes(parts).items()
        }
    model = keras.Sequential(parts, name=network.NAME)
    for layer, weights in read.items():
        for weight, values in weights.items():
            getattr(model.get_layer(layer), weight).assign(values)
    return model, told


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
        said = "; ".join(described(error)) if isinstance(error, ValidationError) else str(error)
        why = _short(" ".join(said.split()))
        raise UserError(f"{path} is not a model that the train stage wrote; train one: dvc repro ({why})") from error


def _text(file: h5py.File, name: str) -> str:
    if file.attrs.get_id(name).shape != ():  # each of many could be the same long one
        raise ValueError(f"{name} is not one text")
    return file.attrs[name]


def _network(path: Path, config: Any) -> "tuple[Architecture, list[keras.Layer]]":
    """The network of which this is the configuration: what sets it apart, and its layers, not built."""
    from src.model import network

    try:
        architecture = _architecture(config["config"]["layers"])
        parts = network.stack(architecture)
        config["config"]["layers"][0]["config"].pop("name")  # counted through, as nobody gave one
        foreign = _difference(config, _config(parts, architecture.precision))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # not even its numbers can be read
        foreign = _kinds(config)
    else:
        if not foreign:
            return architecture, parts
    raise UserError(
        f"{path} holds {_short(foreign)}, which is not part of the report's network and may execute code; "
        "it was not loaded"
    )


def _architecture(listed: list[dict[str, Any]]) -> "Architecture":
    from src.model.network import Architecture

    layers = {layer["config"]["name"]: layer["config"] for layer in listed}
    filters = [layer["filters"] for layer in layers.values() if "filters" in layer]
    blocks = "dropout_1" in layers
    dropout = layers["dropout_1" if blocks else "dropout"]
    values = {
        "input_size": listed[0]["config"]["batch_shape"][1],
        "labels": layers["emotion"]["units"],
        "conv_layers": len(filters),
        "model": {
            "filters": [*filters, 1, 1, 1][:4],
            "dropout": dropout["rate"],
            "dropout_at": "blocks" if blocks else "dense" if list(layers)[-2] == "dropout" else "flatten",
            "dense_units": layers["dense"]["units"],
        },
        "seed": dropout["seed"] - blocks,
        "precision": layers["conv_1"]["dtype"]["config"]["name"],
    }
    return Architecture.model_validate_json(json.dumps(values))


def _config(parts: "list[keras.Layer]", precision: str) -> dict[str, Any]:
    """What Keras writes as the configuration of a network of these layers."""
    import keras

    from src.model.network import NAME

    config = {
        "name": NAME,
        "trainable": True,
        "dtype": keras.saving.serialize_keras_object(keras.DTypePolicy(precision)),
        "layers": [{"class_name": type(part).__name__, "config": part.get_config()} for part in parts],
        "build_input_shape": parts[0].batch_shape,
    }
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


def _values(path: Path, file: h5py.File, layer: str, weight: str, shape: tuple[int, ...]) -> np.ndarray:
    """The values of one weight, which must lie in the file where and how Keras writes them."""
    from src.model.network import NAME

    place = f"model_weights/{layer}/{NAME}/{layer}/{weight}"
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


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"
