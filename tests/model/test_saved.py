"""A model file is data, not code."""

import pickle
from pathlib import Path

import h5py
import keras
import pytest

from src import params
from src.errors import UserError
from src.model import network, saved


@pytest.fixture
def model(tmp_path: Path) -> Path:
    chosen = params.load()
    saved.save(network.build(chosen), tmp_path / "model.h5", chosen)
    return tmp_path / "model.h5"


def test_a_model_knows_what_a_prediction_needs(model):
    chosen = params.load()
    loaded, known = saved.load(model)
    assert known.labels == tuple(chosen.data.labels)
    assert (known.input_size, known.interpolation, known.align) == (48, "nearest", "none")
    assert loaded.output_shape == (None, 7)


def attribute_of(model: Path) -> str:
    with h5py.File(model) as file:
        return file.attrs[saved.ATTRIBUTE]


def test_a_layer_with_code_is_refused_and_not_executed(model, tmp_path, capsys):
    def code(x):
        print("executed")
        return x

    foreign = keras.Sequential([keras.layers.Input((48, 48, 1)), keras.layers.Flatten()])
    foreign.add(keras.layers.Lambda(code))
    foreign.add(keras.layers.Dense(7, "softmax"))
    path = tmp_path / "foreign.h5"
    foreign.save(path)
    with h5py.File(path, "a") as file:
        file.attrs[saved.ATTRIBUTE] = attribute_of(model)
    assert "executed" in capsys.readouterr().out  # as the model was built
    with pytest.raises(UserError, match=r"foreign\.h5 holds .*Lambda.*may execute code"):
        saved.load(path)
    assert "executed" not in capsys.readouterr().out


def test_an_allowed_layer_from_elsewhere_is_refused(model):
    with h5py.File(model, "a") as file:
        config = file.attrs["model_config"]
        file.attrs["model_config"] = config.replace('"module": "keras.initializers"', '"module": "os"', 1)
    with pytest.raises(UserError, match="GlorotUniform, which is not part of"):
        saved.load(model)


class Executed:
    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


@pytest.mark.parametrize("content", [pickle.dumps(Executed()), b"PK\x03\x04 a zip, as .keras is", b""])
def test_another_kind_of_file_is_refused(tmp_path, content):
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.h5 is not a model that the train stage wrote; .*dvc repro"):
        saved.load(path)


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"model\.h5 does not exist; train one: dvc repro"):
        saved.load(tmp_path / "model.h5")


def test_half_a_model_is_refused(model):
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"model\.h5 is (not a model|damaged)"):
        saved.load(model)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"input_size": 48', '"input_size": 64'),
        ('"angry", ', ""),
        ('"nearest"', '"best"'),
        ('"source"', '"origin"'),
    ],
)
def test_what_a_model_knows_must_fit_its_network(model, before, after):
    with h5py.File(model, "a") as file:
        file.attrs[saved.ATTRIBUTE] = file.attrs[saved.ATTRIBUTE].replace(before, after)
    with pytest.raises(UserError, match=r"model\.h5(: the network is not one for| is not a model)"):
        saved.load(model)
