"""A model file is data, not code."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
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


def test_its_labels_are_known_without_tensorflow(model):
    code = f"""
import sys
from pathlib import Path
from src.model import saved
print(*saved.metadata(Path({str(model)!r})).labels)
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(params.load().data.labels)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_every_network_that_is_built_loads_as_it_was_saved(tmp_path, layers, precision):
    every = ["flatten", "dense", "blocks"]
    for at, units, size in (
        ("flatten", 3, 8),
        ("dense", 3, 21),
        ("blocks", 3, 48),
        ("flatten", 3, 208),
        ("dense", [3, 2], 48),
        ("blocks", [3, 2, 4, 5], 48),
        (["flatten", "dense"], 3, 48),
        (["dense", "blocks"], [4, 3], 48),
        (every, [2, 3, 4, 5], 48),
    )[: 4 if precision == "mixed_bfloat16" else None]:
        changes = {"portable": False, "train.precision": precision, "conv_layers": layers, "model.dropout_at": at}
        changes |= {"model.dense_units": units, "datasets.ai.input_size": size}
        changes["model.dropout"] = 0 if size == 21 else 0.5
        values = params.changed(params.load().model_dump(mode="json"), changes)
        chosen = params.check(values, Path("params.yaml"))
        try:
            built = network.build(chosen)
        except UserError:
            assert size < 22
            continue
        saved.save(built, tmp_path / "model.h5", chosen)
        loaded, _ = saved.load(tmp_path / "model.h5")
        images = np.random.default_rng(0).random((2, size, size, 1), np.float32)
        np.testing.assert_array_equal(loaded.predict_on_batch(images), built.predict_on_batch(images))
        assert [layer.get_config() for layer in loaded.layers] == [layer.get_config() for layer in built.layers]


def test_a_model_of_any_dataset_loads_and_one_of_before_whose_input_keras_had_counted_through(tmp_path):
    mine = {"native_size": 64, "input_size": 22, "labels": {"calm": 1, "cross": 1}}
    values = params.load().model_dump(mode="json")
    values |= {"dataset": "mine", "datasets": values["datasets"] | {"mine": mine}}
    chosen = params.check(values, Path("params.yaml"))
    saved.save(network.build(chosen), tmp_path / "model.h5", chosen)
    for name in ("input_layer", "input_layer_7"):
        edit(tmp_path / "model.h5", lambda config, name=name: config["layers"][0]["config"].update(name=name))
        loaded, known = saved.load(tmp_path / "model.h5")
        assert (known.dataset, known.labels, loaded.output_shape) == ("mine", ("calm", "cross"), (None, 2))


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


def edit(model: Path, change: Callable[[dict], None]) -> None:
    """Changes the configuration in a saved model."""
    with h5py.File(model, "a") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"])
        file.attrs["model_config"] = json.dumps(config)


@pytest.mark.parametrize(
    ("layer", "key", "value"),
    [
        ("conv_1", "kernel_initializer", {"module": "os", "class_name": "GlorotUniform", "config": {}}),
        ("conv_1", "kernel_initializer", {"module": "builtins", "class_name": "exec", "config": {}}),
        ("conv_1", "bias_initializer", {"module": "keras.initializers", "class_name": "Ones", "config": {}}),
        ("conv_1", "kernel_regularizer", {"module": "keras.regularizers", "class_name": "L2", "config": {}}),
        ("conv_1", "activation", "tanh"),
        ("conv_1", "kernel_size", [1, 1]),
        ("conv_1", "strides", [7, 7]),
        ("conv_1", "dilation_rate", [9, 9]),
        ("conv_1", "padding", "same"),
        ("conv_1", "groups", 16),
        ("conv_1", "filters", 10**30),
        ("conv_1", "filters", -1),
        ("conv_1", "filters", 16.5),
        ("conv_1", "filters", True),
        ("conv_1", "dtype", {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float64"}}),
        ("pool_1", "pool_size", [10**9, 10**9]),
        ("pool_1", "pool_size", [0, 0]),
        ("pool_1", "strides", [1, 1]),
        ("relu_1", "negative_slope", float("nan")),
        ("norm_1", "epsilon", 0.0),
        ("norm_1", "axis", 1),
        ("dropout", "rate", float("nan")),
        ("dropout", "rate", 1.5),
        ("dropout", "seed", "1"),
        ("dropout", "seed", -1),
        ("dense", "units", 10**12),
        ("dense", "activation", {"module": "os", "class_name": "function", "config": "system"}),
        ("dense", "name", "dense_2"),
        ("emotion", "activation", "relu"),
        ("input_layer", "batch_shape", [None, 10**9, 10**9, 1]),
        ("input_layer", "batch_shape", [None, 48, 48]),
        ("input_layer", "sparse", True),
    ],
)
def test_a_configuration_that_is_not_the_networks_is_refused(model, layer, key, value):
    def change(config: dict) -> None:
        (found,) = (one["config"] for one in config["layers"] if one["config"]["name"].startswith(layer))
        assert key in found
        found[key] = value

    edit(model, change)
    with pytest.raises(UserError, match=r"model\.h5 holds .* not part of the network in src/.*\.py and may") as raised:
        saved.load(model)
    assert len(str(raised.value)) < 600
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        list.clear,
        list.reverse,
        list.pop,
        lambda layers: layers.pop(5),
        lambda layers: layers.insert(3, layers[3]),
        lambda layers: layers.append("no layer"),
        lambda layers: layers[3].pop("config"),
        lambda layers: layers[3].pop("class_name"),
        lambda layers: layers[3].update(module="os"),
        lambda layers: layers[3].update(registered_name="Custom>ReLU"),
        lambda layers: layers[3].update(build_config={"input_shape": [None, 10**9]}),
    ],
)
def test_layers_that_are_not_the_networks_are_refused(model, change):
    edit(model, lambda config: change(config["layers"]))
    with pytest.raises(UserError, match=r"model\.h5 holds .* not part of the network in src/.*\.py and may execute"):
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
    "text", ["", "{", "[]", "7", "null", "NaN", "9" * 5000, "[" * 10**5, '{"a": ' * 10**5, '{"config": 7}', b"\x80"]
)
@pytest.mark.parametrize("name", ["model_config", saved.ATTRIBUTE])
def test_attributes_that_are_no_configuration_are_one_line(model, name, text):
    with h5py.File(model, "a") as file:
        file.attrs[name] = text
    with pytest.raises(UserError, match=r"model\.h5 (holds no layers|is not a model)") as raised:
        saved.load(model)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("value", [np.array([b"{}"] * 3), np.arange(5), 7, h5py.Empty("f")])
def test_attributes_of_another_kind_are_one_line(model, value):
    with h5py.File(model, "a") as file:
        file.attrs[saved.ATTRIBUTE] = value
    with pytest.raises(UserError, match=r"model\.h5 is not a model that the train stage wrote"):
        saved.load(model)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["conv_1/kernel", "dense/bias", "norm_2/moving_mean"])
def test_weights_that_are_no_numbers_are_refused(model, place, value):
    with h5py.File(model, "a") as file:
        layer, weight = place.split("/")
        file[f"model_weights/{layer}/report_network/{layer}/{weight}"][..., 0] = value
    with pytest.raises(UserError, match=rf"model\.h5: the weights {place} are no numbers to calculate with"):
        saved.load(model)


def test_a_variance_below_nothing_is_refused_as_its_root_is_no_number(model):
    with h5py.File(model, "a") as file:
        file["model_weights/norm_1/report_network/norm_1/moving_variance"][0] = -1
    with pytest.raises(UserError, match="norm_1/moving_variance are no numbers to"):
        saved.load(model)


BIAS = "model_weights/dense/report_network/dense/bias"


def compressed(file: h5py.File, values: np.ndarray) -> None:
    file.create_dataset(BIAS, data=values, compression="gzip")


def in_chunks(file: h5py.File, values: np.ndarray) -> None:
    file.create_dataset(BIAS, data=values, chunks=(64,))


def never_written(file: h5py.File, values: np.ndarray) -> None:
    file.create_dataset(BIAS, values.shape, values.dtype)


def in_a_file_beside(file: h5py.File, values: np.ndarray) -> None:
    beside = Path(file.filename).with_name("beside")
    beside.write_bytes(values.tobytes())
    file.create_dataset(BIAS, values.shape, values.dtype, external=[(str(beside), 0, values.nbytes)])


def of_other_datasets(file: h5py.File, values: np.ndarray) -> None:
    source = file.create_dataset("source", data=values)
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource(source)
    file.create_virtual_dataset(BIAS, layout)


def a_soft_link(file: h5py.File, values: np.ndarray) -> None:
    file["elsewhere"] = values
    file[BIAS] = h5py.SoftLink("/elsewhere")


def a_link_to_another_file(file: h5py.File, values: np.ndarray) -> None:
    beside = Path(file.filename).with_name("beside.h5")
    with h5py.File(beside, "w") as other:
        other["values"] = values
    file[BIAS] = h5py.ExternalLink(beside, "values")


def a_folder_behind_a_link(file: h5py.File, values: np.ndarray) -> None:
    file[BIAS] = values
    file.move("model_weights/dense/report_network", "elsewhere")
    file["model_weights/dense/report_network"] = h5py.SoftLink("/elsewhere")


def a_folder(file: h5py.File, values: np.ndarray) -> None:
    file.create_group(BIAS)


def nothing(file: h5py.File, values: np.ndarray) -> None:
    pass


def of_another_shape(file: h5py.File, values: np.ndarray) -> None:
    file[BIAS] = values[1:]


def of_another_type(file: h5py.File, values: np.ndarray) -> None:
    file[BIAS] = values.astype(np.float64)


@pytest.mark.parametrize(
    "stored",
    [
        *(compressed, in_chunks, never_written, in_a_file_beside, of_other_datasets, a_soft_link, nothing),
        *(a_link_to_another_file, a_folder_behind_a_link, a_folder, of_another_shape, of_another_type),
    ],
)
def test_weights_that_do_not_lie_in_the_file_as_they_are_are_refused(model, stored):
    with h5py.File(model, "a") as file:
        file["more"] = np.zeros(10**5)  # so that the file is large enough
        values = file[BIAS][()]
        del file[BIAS]
        stored(file, values)
    with pytest.raises(UserError, match=r"model\.h5 is not a model .*dense/(kernel|bias) is"):
        saved.load(model)


BOMBS = """
import json, resource, sys
from pathlib import Path
import h5py
from src.errors import UserError
from src.model import saved

folder = Path(sys.argv[1])
saved.load(folder / "model.h5")  # with all that TensorFlow needs
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(folder.glob("bomb*.h5")):
    try:
        saved.load(path)
        print(path.name, "was loaded")
    except UserError as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
"""


def test_gigabytes_in_a_small_file_are_refused_before_they_are_allocated(model):
    """In the configuration alone; in datasets too, which say nothing but their shape; as values between the layers."""
    content = model.read_bytes()

    def bomb(number: int, size: int, filters: list[int], units: int, declared: bool) -> None:
        path = model.with_name(f"bomb{number}.h5")
        path.write_bytes(content)

        def change(config: dict) -> None:
            named = {layer["config"]["name"]: layer["config"] for layer in config["layers"]}
            config["layers"][0]["config"]["batch_shape"] = config["build_input_shape"] = [None, size, size, 1]
            for place, count in enumerate(filters, 1):
                named[f"conv_{place}"]["filters"] = count
            named["dense"]["units"] = units

        edit(path, change)
        with h5py.File(path, "a") as file:
            known = json.loads(file.attrs[saved.ATTRIBUTE])
            file.attrs[saved.ATTRIBUTE] = json.dumps(known | {"input_size": size})
            if declared:
                for number, shape in enumerate(zip((1, *filters), filters, strict=False), 1):
                    kernel = f"model_weights/conv_{number}/report_network/conv_{number}/kernel"
                    del file[kernel]
                    file.create_dataset(kernel, (3, 3, *shape), "<f4", chunks=(1, 1, 1, 16), compression="gzip")

    bomb(1, 48, [4096, 4096, 4096], 512, declared=False)
    bomb(2, 48, [4096, 4096, 4096], 512, declared=True)
    bomb(3, 48, [16, 32, 64], 65_536, declared=False)
    bomb(4, 1024, [4096, 1, 1], 1, declared=False)
    assert all(path.stat().st_size < 3_000_000 for path in model.parent.glob("bomb*.h5"))
    done = subprocess.run([sys.executable, "-c", BOMBS, model.parent], capture_output=True, text=True, check=True)
    *messages, megabytes = done.stdout.splitlines()
    assert len(messages) == 4
    for number, message in enumerate(messages, 1):
        assert message.startswith(f"{model.parent}/bomb{number}.h5 is not a model that the train stage wrote; ")
    assert int(megabytes) < 100


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"input_size": 48', '"input_size": 64'),
        ('"angry", ', ""),
        ('"nearest"', '"best"'),
        ('"dataset": "ai"', '"dataset": "../ai"'),
        ('"source"', '"origin"'),
        ('"angry", "disgust"', '"angry", "angry"'),
        ('"angry", "disgust"', '"angry", "Anger"'),
        ('"angry"', '"a\\u001b[2J"'),
        ('"angry"', '"../angry"'),
        ('"angry"', "7"),
        ('"rendered"', '"\\n"'),
        ("48", "NaN"),
    ],
)
def test_what_a_model_knows_must_fit_its_network(model, before, after):
    with h5py.File(model, "a") as file:
        assert before in file.attrs[saved.ATTRIBUTE]
        file.attrs[saved.ATTRIBUTE] = file.attrs[saved.ATTRIBUTE].replace(before, after)
    with pytest.raises(UserError, match=r"model\.h5(: the network is not one for| is not a model)") as raised:
        saved.load(model)
    assert len(str(raised.value).splitlines()) == 1
