"""Nothing outside the repository changes a result: not the shell's variables, not files in the home directory."""

import json
import shutil
from pathlib import Path

import pytest

from src.core.files import digest
from tests.conftest import Clone, fresh

KERAS = {"floatx": "float64", "epsilon": 1e-3, "backend": "jax", "image_data_format": "channels_first"}
# Each changes a result, or ends a stage, where it is not pinned.
VARIABLES = {
    "KERAS_BACKEND": "jax",
    "KERAS_MAX_EPOCHS": "0",
    "KERAS_MAX_STEPS_PER_EPOCH": "2",
    "MPLBACKEND": "nonsense",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "SCIPY_ARRAY_API": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
}


def home_with(folder: Path, keras: dict | None = None, matplotlibrc: bytes | None = None) -> dict[str, str]:
    """A home directory with these settings, as a variable."""
    if keras is not None:
        (folder / ".keras").mkdir(parents=True)
        (folder / ".keras/keras.json").write_text(json.dumps(keras))
    if matplotlibrc is not None:
        (folder / ".config/matplotlib").mkdir(parents=True)
        (folder / ".config/matplotlib/matplotlibrc").write_bytes(matplotlibrc)
    return {"HOME": str(folder)}


@pytest.mark.slow
def test_a_hostile_home_and_shell_give_the_same_bytes_and_are_named(reproduced, tmp_path):
    hostile = VARIABLES | home_with(tmp_path / "home", KERAS, b"axes.facecolor: red\nfont.size: 20\n")
    clone = fresh(reproduced, tmp_path / "clone")
    clone.run("dvc", "repro", "--force", **hostile)
    assert clone.run("git", "status", "--porcelain").stdout == ""  # dvc.lock and metrics are those of the commit
    code = "import json; from src import environment; print(json.dumps(environment.fingerprint()))"
    named = json.loads(clone.run("python", "-c", code, **hostile).stdout)
    assert {f"ignored.{name}": value for name, value in VARIABLES.items()}.items() <= named.items()
    assert '"floatx": "float64"' in named["ignored.keras.json"]
    assert named["ignored.matplotlibrc"] == str(tmp_path / "home/.config/matplotlib/matplotlibrc")


def test_a_matplotlibrc_in_the_repository_is_refused_by_name(reproduced, tmp_path):
    clone = fresh(reproduced, tmp_path / "clone")
    (clone.path / "matplotlibrc").write_text("axes.facecolor: red\n")
    failed = clone.run("python", "-m", "src.plot", ok=False)
    assert (failed.returncode, failed.stderr) == (
        1,
        "error: matplotlibrc in this folder would change every figure; move it away\n",
    )


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_trained(reproduced, tmp_path):
    clone = fresh(reproduced, tmp_path / "clone")
    clone.set_params({"device": "gpu"})
    failed = clone.run("python", "-m", "src.split", ok=False)
    assert failed.stderr.endswith("device = gpu gives other bits than a CPU: set portable=false with it\n")
    code = "from src import command; from src.core import runtime\n"
    code += "command.run(lambda: runtime.configure(portable=False, device='gpu'))"
    failed = clone.run("python", "-c", code, ok=False, CUDA_VISIBLE_DEVICES="-1")
    assert failed.returncode == 1
    assert "error: device = gpu, but TensorFlow finds none here" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.fixture(scope="module")
def trained(reproduced, tmp_path_factory) -> Clone:
    """Epochs long enough to be cut short, and outputs to compare with."""
    clone = fresh(reproduced, tmp_path_factory.mktemp("trained") / "clone", batch_size=8)
    clone.run("dvc", "repro")
    return clone


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "output", "variables", "home"),
    [
        (
            "train",
            "models/model.h5",
            {},
            {"keras": KERAS | {"image_data_format": "channels_last", "backend": "tensorflow"}},
        ),
        ("train", "models/model.h5", {}, {"keras": {"image_data_format": "channels_first"}}),
        ("train", "models/model.h5", {}, {"keras": {"backend": "jax"}}),
        ("train", "models/model.h5", {}, {"keras": {"floatx": "float128"}}),
        ("train", "models/model.h5", {"KERAS_BACKEND": "jax"}, {}),
        ("train", "models/model.h5", {"KERAS_MAX_STEPS_PER_EPOCH": "2"}, {}),
        ("train", "models/model.h5", {"TF_XLA_FLAGS": VARIABLES["TF_XLA_FLAGS"]}, {}),
        ("plot", "plots/curves.png", {"MPLBACKEND": "nonsense"}, {}),
        ("plot", "plots/curves.png", {}, {"matplotlibrc": b"axes.facecolor: red\n"}),
        ("plot", "plots/curves.png", {}, {"matplotlibrc": b"font.family: \xff\n"}),
    ],
)
def test_each_setting_changes_nothing_and_would_without_the_pinning(stage, output, variables, home, trained, tmp_path):
    """The second half is the negative control: a check that cannot fail proves nothing."""
    settings = variables | home_with(tmp_path / "home", **home)
    right = digest(trained.path / output)
    trained.run("python", "-m", f"src.{stage}", **settings)
    assert digest(trained.path / output) == right
    shutil.copytree(trained.path, tmp_path / "unpinned", symlinks=True)
    unpinned = Clone(tmp_path / "unpinned")
    (unpinned.path / "src/core/__init__.py").write_text("")
    done = unpinned.run("python", "-m", f"src.{stage}", ok=False, **settings)
    assert done.returncode != 0 or digest(unpinned.path / output) != right
