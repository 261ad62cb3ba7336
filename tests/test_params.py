"""params.yaml is validated as a whole, and every error tells the user what to change."""

import io
import resource
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.utils.validation import _validate_metric_name, _validate_param_name
from pydantic import ValidationError

from src import params, verify
from src.errors import UserError
from src.evaluate import scores
from src.predict import __main__ as predict
from src.report import grid

REPOSITORY = Path(__file__).parents[1]
MISSING = object()
MINE = {"datasets.mine": {"native_size": 64, "input_size": 64, "labels": {"calm": 10, "cross": 10}}}
SECOND = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[dict], Path]:
    """Writes the repository's params.yaml with some values changed, {"split.seed": 2}, and gives its path."""

    def write(changes: dict) -> Path:
        values = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
        values |= {"source": "rendered", "local_path": None, "local_sha256": None}
        for name, value in changes.items():
            *sections, last = name.split(".")
            section = values
            for key in sections:
                section = section[key]
            if value is MISSING:
                del section[last]
            else:
                section[last] = value
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    return write


def test_the_params_of_the_repository_are_valid():
    loaded = params.load(REPOSITORY / "params.yaml")
    assert loaded.data == loaded.datasets[loaded.dataset]


def test_values_arrive_as_written(changed):
    loaded = params.load(changed({"dataset": "ai2", "train.learning_rate": 1, "model.filters": [3, 5, 7, 9]}))
    assert loaded.data.labels["Anger"] == 2384
    assert loaded.data.images == 14300
    assert (loaded.train.learning_rate, loaded.model.filters) == (1.0, (3, 5, 7, 9))


@pytest.mark.parametrize(
    ("param", "value", "allowed"),
    [
        # of the wrong type
        ("epochs", "50", "integer"),
        ("epochs", 1.0, "integer"),
        ("epochs", True, "integer"),
        ("epochs", None, "integer"),
        ("local_path", 7, "string"),
        ("local_sha256", 7, "string"),
        ("preprocess.skip_unreadable", "yes", "boolean"),
        ("model.filters", 16, "array"),
        ("train.learning_rate", "fast", "number"),
        ("split", None, "object"),
        # out of range
        ("epochs", 0, "greater than or equal to 1"),
        ("batch_size", 0, "greater than or equal to 1"),
        ("threads", 0, "greater than or equal to 1"),
        ("conv_layers", 0, "greater than or equal to 1"),
        ("conv_layers", 5, "less than or equal to 4"),
        ("seed", -1, "greater than or equal to 0"),
        ("rendered.seed", -1, "greater than or equal to 0"),
        ("split.seed", 2**31, "less than 2147483648"),
        ("datasets.ai2.native_size", 15, "greater than or equal to 16"),
        ("datasets.ai2.input_size", 1025, "less than or equal to 1024"),
        ("datasets.ai2.labels.Fear", 0, "greater than or equal to 1"),
        ("datasets.ai2.labels", {"Anger": 5}, "at least 2"),
        ("rendered.scale", 0.0, "greater than 0"),
        ("rendered.scale", 1.1, "less than or equal to 1"),
        ("rendered.scale", float("nan"), "finite"),
        ("rendered.test_share", 0.0, "greater than 0"),
        ("rendered.test_share", 1.0, "less than 1"),
        ("rendered.label_noise", -0.1, "greater than or equal to 0"),
        ("rendered.label_noise", 1.1, "less than or equal to 1"),
        ("split.validation_share", 0.0, "greater than 0"),
        ("split.validation_share", 1.0, "less than 1"),
        ("model.filters", [16, 32, 64], "at least 4"),
        ("model.filters", [16, 32, 64, 128, 256], "at most 4"),
        ("model.dropout", 1.0, "less than 1"),
        ("model.dropout", float("nan"), "finite"),
        ("model.dense_units", 0, "greater than or equal to 1"),
        ("model.dense_units", [], "at least 1 item"),
        ("model.dense_units", [8, 7, 6, 5, 4], "at most 4 items"),
        ("model.dropout_at", "conv", "'flatten', 'dense' or 'blocks'"),
        ("model.dropout_at", ["dense", "dense"], "stands there twice"),
        ("augmentation.zoom", -0.1, "greater than or equal to 0"),
        ("augmentation.zoom", 1.0, "less than 1"),
        ("train.learning_rate", 0.0, "greater than 0"),
        ("train.learning_rate", float("inf"), "finite"),
        # of no honest use
        ("epochs", 10**30, "less than or equal to 999999"),
        ("batch_size", 10**30, "less than or equal to 65536"),
        ("threads", 10**9, "less than or equal to 1024"),
        ("model.dense_units", 10**12, "less than or equal to 65536"),
        ("datasets.ai2.labels.Fear", 10**12, "less than or equal to 10000000"),
        ("datasets.ai2.labels", {"Fear": 9 * 10**6, "Joy": 9 * 10**6}, "18000000 images, and 10000000 is the most"),
        ("limits.member_bytes", 10**12, "less than or equal to 2147483648"),
        ("limits.total_bytes", 10**30, "less than or equal to 1000000000000000"),
        ("evaluate.rotations", [0] * 400, "at most 361"),
        ("local_path", "faces\x1b[2J.zip", "control character"),
        ("local_path", "faces\n.zip", "control character"),
        # not one of the choices
        ("dataset", "ai3", "`datasets` describes ai, ai2, ai_half"),
        ("dataset", "../ai", "`datasets` describes ai, ai2, ai_half"),
        ("datasets", {}, "at least 1 item"),
        ("datasets.ai_half.part_of", "ai3", "`datasets` describes ai, ai2, ai_half"),
        ("datasets.ai_half.part_of", "ai_half", "ai_half is itself a part of ai_half"),
        ("datasets.ai_half.part_of", "../ai", "a dataset's name begins with a letter"),
        ("datasets.ai_half.part_of", 3, "string"),
        ("source", "web", "'rendered', 'local' or 'kaggle'"),
        ("split.policy", "random", "'holdout'"),
        ("preprocess.interpolation", "cubic", "'bicubic'"),
        ("local_sha256", "a" * 63, "[0-9a-f]{64}"),
        ("local_sha256", "A" * 64, "[0-9a-f]{64}"),
        ("kaggle.ai", "fer2013", "pattern"),
        ("kaggle.ai", "https://www.kaggle.com/msambare/fer2013", "pattern"),
        ("kaggle.ai", "../fer2013", "pattern"),
        ("kaggle.ai2", "owner/name/versions/0", "pattern"),
        ("kaggle.ai2", "owner/name/3", "pattern"),
        ("layout.train", "", "relative path"),
        ("layout.train", "./", "relative path"),
        ("layout.train", "/train", "relative path"),
        ("layout.train", "../train", "relative path"),
        ("layout.train", "images/../train", "relative path"),
        ("layout.test", ".hidden/test", "relative path"),
        ("layout.test", "images\\test", "relative path"),
        ("layout.test", "images/te\nst", "control character"),
        ("layout.labels", ["angry"], "object"),
        ("layout.labels.furious", 3, "string"),
        ("layout.skip_others", 1, "boolean"),
        ("limits.member_bytes", 0, "greater than or equal to 1"),
        ("limits.total_bytes", 1.5, "integer"),
        ("limits.image_pixels", 10**9, "less than or equal to 89478485"),
    ],
)
def test_an_invalid_value_is_named_with_its_param_and_what_is_allowed(changed, param, value, allowed):
    path = changed({param: value})
    with pytest.raises(UserError) as raised:
        params.load(path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}: {param} = {value!r} "[:240])
    assert len(line) < 500
    assert allowed in line


LATER = [
    *(
        "device",
        "usable",
        "segmentation",
        "preprocess.align",
        "preprocess.usable",
        "model.dropout_at",
        "train.schedule",
    ),
    *("evaluate", "evaluate.rotations"),
]


@pytest.mark.parametrize("param", ["epochs", "train", "split.seed", "datasets.ai.labels", *LATER])
def test_a_missing_param_is_named(changed, param):
    path = changed({param: MISSING})
    with pytest.raises(UserError) as raised:
        params.load(path)
    assert str(raised.value) == f"{path}: {param} is missing"


@pytest.mark.parametrize("param", ["epoch", "train.momentum", "datasets.ai.size"])
def test_an_unknown_param_is_named(changed, param):
    path = changed({param: 1})
    with pytest.raises(UserError) as raised:
        params.load(path)
    assert str(raised.value).startswith(f"{path}: {param} is not a known param")


@pytest.mark.parametrize("param", LATER)
def test_params_of_before_a_param_came_can_be_read_though_no_stage_would_run_with_them(changed, param):
    path = changed({param: MISSING})
    assert params.check(yaml.safe_load(path.read_text()), path) == params.load(REPOSITORY / "params.yaml")


AS_WRITTEN = [
    {},
    MINE,
    {"layout.train": "./images//tr\u0061\u0308in/", "layout.labels": {"Tr\u0061\u0308ne": "SAD"}, "dataset": "ai2"},
    {"train.learning_rate": 1e-5, "model.dropout": 0, "evaluate.rotations": [-30, 0], "model.filters": [1, 2, 3, 4]},
    {"model.dense_units": [1024, 512], "model.dropout_at": ["dense", "blocks"]},
    {"source": "kaggle", "kaggle": {"ai": "a/b/versions/3"}, "local_path": "faces//./a.zip ", "limits.total_bytes": 1},
]


@pytest.mark.parametrize("changes", AS_WRITTEN)
def test_what_a_stage_reads_is_what_the_file_says(changed, changes):
    """This module is no dependency of a stage, so DVC would not notice that it makes something else of a value."""
    path = changed(changes)
    assert params.load(path).model_dump(mode="json", exclude_unset=True) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("folder", ["report", "docs/results"])
def test_rows_from_before_a_param_came_are_still_of_todays_params(folder):
    read = grid.read(REPOSITORY / folder)
    assert len(read.finished()) == len(read.cells) > 20


def test_verify_takes_params_from_before_a_param_came(changed, tmp_path):
    path = changed({"train.schedule": MISSING, "source": "local", "local_path": "faces.zip"})
    verify._adapt(path, tmp_path, 3)
    adapted = yaml.safe_load(path.read_text())
    assert (adapted["threads"], adapted["local_path"]) == (3, str(tmp_path / "faces.zip"))


@pytest.mark.parametrize("name", ["mine", "My_faces-2", "-".join("abc" * 10), "x" * 60])
def test_a_dataset_has_any_name_and_labels_of_its_own(changed, name):
    path = changed({f"datasets.{name}": MINE["datasets.mine"], "dataset": name, "kaggle": {name: "owner/name"}})
    loaded = params.load(path)
    assert (loaded.whole, list(loaded.data.labels)) == (name, ["calm", "cross"])
    _validate_param_name(f"datasets.{name}.labels.{'x' * 60}")


@pytest.mark.parametrize(
    "name", ["my faces", "", "2faces", "../ai", "a/b", "a.b", "-ai", "x" * 61, "\x1b[2J", "ä", "a\n"]
)
def test_a_name_that_a_later_stage_could_not_use_is_refused(changed, name):
    path = changed({})
    values = yaml.safe_load(path.read_text())
    values["datasets"][name] = MINE["datasets.mine"]
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError) as raised:
        params.load(path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}: datasets: {name!r} is not allowed: a dataset's name begins with a letter")


PART = {"part_of": "ai2", "native_size": 416, "input_size": 48, "labels": dict.fromkeys(SECOND, 5)}


@pytest.mark.parametrize(
    ("part", "refused"),
    [
        ({}, ""),
        ({"part_of": None, "labels": {"happy": 10, "smug": 10}}, ""),
        (
            {"labels": dict.fromkeys(SECOND, 2384)},
            "part_of = 'ai2' is not allowed: mine has 14304 images",
        ),
        ({"labels": {"happy": 10, "smug": 10}}, "labels must be the labels of datasets.ai2, of which it is a part"),
        ({"native_size": 48}, "native_size must be that of datasets.ai2, of which it is a part"),
        ({"part_of": "mine"}, "part_of = 'mine' is not allowed: mine is itself a part of mine"),
        ({"part_of": "ai_half"}, "part_of = 'ai_half' is not allowed: ai_half is itself a part of ai"),
        ({"part_of": "theirs"}, "part_of = 'theirs' is not allowed: `datasets` describes ai, ai2, ai_half, mine"),
    ],
)
def test_a_dataset_can_be_a_part_of_another(changed, part, refused):
    path = changed({"datasets.mine": PART | part, "dataset": "mine"})
    if refused:
        with pytest.raises(UserError) as raised:
            params.load(path)
        assert str(raised.value).startswith(f"{path}: datasets.mine.{refused}")
    else:
        assert params.load(path).whole == ("ai2" if part.get("part_of", "ai2") else "mine")


@pytest.mark.parametrize("nowhere", [None, ""])
def test_a_local_source_needs_a_path(changed, nowhere):
    path = changed({"source": "local", "local_path": nowhere})
    with pytest.raises(UserError) as raised:
        params.load(path)
    assert str(raised.value).startswith(f"{path}: source is local, so local_path must")
    assert params.load(changed({"source": "local", "local_path": "faces.zip"})).local_path == "faces.zip"


@pytest.mark.parametrize(
    ("dataset", "kaggle", "remedy"),
    [
        ("ai", {"ai": None}, "-S kaggle.ai=owner/name"),
        ("ai_half", {"ai": None, "ai_half": None}, "-S kaggle.ai=owner/name"),
        ("ai2", {"ai": "msambare/fer2013", "ai2": None}, "-S kaggle.ai2=owner/name"),
        ("ai2", {}, "-S +kaggle.ai2=owner/name"),
        ("mine", {"ai": "msambare/fer2013"}, "-S +kaggle.mine=owner/name"),
    ],
)
def test_a_set_from_kaggle_needs_a_handle(changed, dataset, kaggle, remedy):
    path = changed(MINE | {"source": "kaggle", "dataset": dataset, "kaggle": kaggle})
    with pytest.raises(UserError) as raised:
        params.load(path)
    name = remedy.split(".")[1].split("=")[0]
    assert str(raised.value) == (f"{path}: source is kaggle, so kaggle.{name} must name the dataset to take: {remedy}")
    given = kaggle | {name: "some-one/faces_6/versions/12"}
    loaded = params.load(changed(MINE | {"source": "kaggle", "dataset": dataset, "kaggle": given}))
    assert loaded.kaggle[loaded.whole] == "some-one/faces_6/versions/12"


@pytest.mark.parametrize(
    ("kaggle", "said"),
    [
        ({"ai3": None}, "kaggle.ai3 is of no dataset: `datasets` describes ai, ai2, ai_half; add it there first"),
        ({"\x1b[2J": "a/b"}, "kaggle.\\x1b[2J is of no dataset"),
        ({"ai_half": "a/b"}, "kaggle.ai_half is never read, as ai_half is a part of ai: set kaggle.ai"),
    ],
)
def test_a_handle_that_nothing_reads_is_refused(changed, kaggle, said):
    path = changed({"kaggle": kaggle})
    with pytest.raises(UserError) as raised:
        params.load(path)
    assert str(raised.value).startswith(f"{path}: {said}")


def labelled(*labels: str) -> dict:
    return {"datasets.ai2.labels": dict.fromkeys(labels, 5)}


@pytest.mark.parametrize(
    "label",
    [
        *("angry (1)", "a/b", "a\\b", "..", ".", ".hidden", "angry.", "a:b", "a,b", 'a"b', "a'b", "angry!", "a=b"),
        *(" angry", "angry ", "", "a\nb", "a\tb", "a\0b", "\x1b[31mangry", "a\u00a0b", "a\u202eb", "a\u0301", "x" * 61),
    ],
)
def test_a_label_that_a_later_stage_could_not_use_is_refused_with_a_way_out(changed, label):
    path = changed(labelled(label, "sad"))
    with pytest.raises(UserError) as raised:
        params.load(path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}: datasets.ai2.labels: {label!r} is not allowed: a label holds letters")
    assert line.endswith("layout.labels maps its name onto a label")
    layout = {"layout.labels": {label: "sad"}} if label and label.isprintable() and "/" not in label else {}
    assert params.load(changed(labelled("angry", "sad") | layout)).datasets["ai2"].images == 10


@pytest.mark.parametrize("label", ["Anger", "wütend", "怒り", "злость", "angry-1", "very angry", "7", "v1.0", "a" * 60])
def test_a_label_that_is_allowed_is_taken_by_mlflow_folders_archives_and_tables(changed, label, tmp_path):
    assert label in params.load(changed(labelled(label, "sad"))).datasets["ai2"].labels
    _validate_param_name(f"datasets.ai_half.labels.{label}")
    _validate_metric_name(f"eval/labels/{label}/precision")
    (tmp_path / label).mkdir()
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr(f"train/{label}/1.png", b"")
    assert zipfile.ZipFile(tmp_path / "zip").namelist() == [f"train/{label}/1.png"]
    pd.DataFrame({label: [1.0]}).to_csv(tmp_path / "csv", index=False)
    assert list(pd.read_csv(tmp_path / "csv")) == [label]


@pytest.mark.parametrize("one", ["anger", "ANGRY", "Angry"])
def test_two_spellings_of_one_label_are_refused(changed, one):
    path = changed(labelled(one, "angry"))
    with pytest.raises(UserError, match=f"ai2.labels = .*: '{one}' and 'angry' are two spellings of one label"):
        params.load(path)


def test_no_label_is_called_as_another_column_of_a_table(changed):
    table = scores.predictions(pd.Series(["train/a/1"]), np.array([0]), np.array([[0.5, 0.5]]), ["a", "b"])
    printed = io.StringIO()
    predict._csv([], ("a", "b"), printed)
    confusion = (REPOSITORY / "metrics/confusion.csv").read_text().split("\n")[0]
    own = set(params.load(REPOSITORY / "params.yaml").data.labels)
    columns = {*table.columns, *printed.getvalue().strip().split(","), *confusion.split(","), "temperature"}
    for column in columns - {"a", "b"} - own:
        path = changed(labelled(column, "sad"))
        with pytest.raises(UserError, match=rf"datasets\.ai2\.labels: '{column}' is not allowed: tables have a column"):
            params.load(path)


@pytest.mark.parametrize("name", ["angry/1", "", "a\nb"])
def test_a_further_spelling_is_the_name_of_a_folder(changed, name):
    path = changed({"layout.labels": {name: "angry"}})
    with pytest.raises(UserError) as raised:
        params.load(path)
    assert str(raised.value).startswith(f"{path}: layout.labels: {name!r} is not allowed: ")


def test_sixteen_bits_are_not_portable(changed):
    path = changed({"train.precision": "mixed_bfloat16", "portable": True})
    with pytest.raises(UserError, match="set portable=false with it"):
        params.load(path)
    assert params.load(changed({"train.precision": "mixed_bfloat16", "portable": False})).portable is False


@pytest.mark.parametrize(("train", "test"), [("faces", "faces"), ("faces", "faces/test"), ("a/b/c", "a/b")])
def test_the_two_folders_lie_apart(changed, train, test):
    path = changed({"layout.train": train, "layout.test": test})
    with pytest.raises(UserError, match=r"layout = .* neither of them inside the other"):
        params.load(path)
    loaded = params.load(changed({"layout.train": f"{train}_1", "layout.test": f"{test}_2"}))
    assert loaded.layout.train == f"{train}_1"


def test_all_errors_are_listed_one_a_line(changed):
    path = changed({"epochs": 0, "conv_layers": 9, "split.policy": "none", "train.learning_rate": MISSING, "speed": 1})
    with pytest.raises(UserError) as raised:
        params.load(path)
    lines = str(raised.value).splitlines()
    assert len(lines) == 5
    for param in ("epochs", "conv_layers", "split.policy", "train.learning_rate", "speed"):
        assert sum(line.startswith(f"{path}: {param} ") for line in lines) == 1


@pytest.mark.parametrize(
    "section",
    [
        "",
        "layout",
        "limits",
        "rendered",
        "split",
        "usable",
        "segmentation",
        "preprocess",
        "model",
        "augmentation",
        "train",
    ],
)
def test_loaded_params_cannot_be_changed(section):
    loaded = params.load(REPOSITORY / "params.yaml")
    holder = getattr(loaded, section) if section else loaded
    for name in type(holder).model_fields:
        before = getattr(holder, name)
        with pytest.raises(ValidationError, match="frozen"):
            setattr(holder, name, before)


DEEP = 20_000
STRANGE = {
    "empty": b"",
    "a list": b"- epochs\n- seed\n",
    "a word": b"epochs",
    "an open bracket": b"epochs: [1, 2\n",
    "a tab": b"epochs: 1\n\tseed: 1\n",
    "a NUL": b"epochs: 1\0\n",
    "not UTF-8": b"local_path: Bilder/\xe4ngstlich.zip\n",
    "UTF-16": "epochs: 1".encode("utf-16"),
    "a key twice": b"epochs: 1\nepochs: 2\n",
    "a key that is a number": b"1: epochs\n",
    "two documents": b"epochs: 1\n---\nepochs: 2\n",
    "an alias": b"seed: &one 1\nepochs: *one\n",
    "aliases of aliases": b"a: &a [1]\n"
    + b"".join(b"%c: &%c [%b]\n" % (name, name, b", ".join([b"*%c" % (name - 1)] * 9)) for name in range(98, 122)),
    "a merge": b"train: {<<: {schedule: constant}}\n",
    "a tag": b"epochs: !!python/object/apply:os.system [true]\n",
    "a number too long": b"epochs: " + b"9" * 10_000,
    "nested brackets": b"a: " + b"[" * DEEP + b"]" * DEEP,
    "open brackets": b"[" * DEEP,
    "nested keys": b"\n".join(b" " * depth + b"a:" for depth in range(600)),
    "nested question marks": b"? " * DEEP,
    "too long": b"a: b\n" * 10**6,
}


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE)
def test_a_file_that_is_no_plain_mapping_is_one_line_quickly_and_in_little_memory(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    start, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as raised:
        params.load(path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}: ")
    assert len(line) < 500
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 50_000  # KB


def test_of_many_wrong_values_the_first_are_named(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("".join(f"unknown_{number}: 1\n" for number in range(2000)))
    with pytest.raises(UserError) as raised:
        params.load(path)
    assert len(str(raised.value).splitlines()) == 20


def test_a_date_is_shown_as_it_was_written(changed):
    path = changed({"epochs": 50})
    path.write_text(path.read_text().replace("epochs: 50", "epochs: 2026-01-01"))
    with pytest.raises(UserError, match="epochs = '2026-01-01' is not allowed: Input should be a valid integer"):
        params.load(path)


def test_a_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        params.load(tmp_path / "nowhere.yaml")


def test_a_small_number_is_read_as_dvc_writes_it(changed):
    """`dvc exp run -S train.learning_rate=0.00001` leaves `learning_rate: 1e-05` in the file."""
    path = changed({"train.learning_rate": 0.5})
    path.write_text(path.read_text(encoding="utf-8").replace("0.5", "1e-05"), encoding="utf-8")
    assert params.load(path).train.learning_rate == 0.00001
