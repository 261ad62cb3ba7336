"""Settings from outside the repository that would change a result, taken out of the way before any library reads them.

`import src` does it, so that no command and no stage can forget it.
"""

import json
import os
from importlib.util import find_spec
from pathlib import Path

from src.errors import UserError


def _matplotlibrc() -> str:
    """Matplotlib's own settings, found without importing it."""
    package = find_spec("matplotlib")
    assert package is not None and package.origin is not None
    return str(Path(package.origin).parent / "mpl-data" / "matplotlibrc")


PINS = {
    "KERAS_BACKEND": "tensorflow",
    "KERAS_HOME": os.devnull,  # where Keras looks for keras.json: nothing can stand in there
    "MPLBACKEND": "agg",
    "MATPLOTLIBRC": _matplotlibrc(),
}
# Variables that reach into what is computed: whatever begins so is taken away, also what later versions may bring,
REMOVED = ("DNNL_", "KERAS_", "NVIDIA_TF32", "ONEDNN_", "PANDAS_", "SCIPY_", "SKLEARN_", "TF_", "TF2_", "XLA_")
# but for messages and the memory of a GPU.
KEPT = ("DNNL_VERBOSE", "ONEDNN_VERBOSE", "TF_CPP_", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR")
KERAS_DEFAULTS = {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}

_before: dict[str, str] = {}  # variables that `pin` took away or replaced


def pin() -> None:
    """Sets or removes the variables of this process that would change what it computes or draws."""
    removed = {name for name in os.environ if name.startswith(REMOVED) and not name.startswith(KEPT)}
    for name in removed | PINS.keys():
        if (value := os.environ.pop(name, None)) not in (None, PINS.get(name)):
            _before[name] = value
    os.environ.update(PINS)


def check() -> None:
    """Refuses what cannot be pinned.

    Raises:
        UserError: a matplotlibrc in the working directory, which Matplotlib reads before any other.
    """
    if Path("matplotlibrc").exists():
        raise UserError("matplotlibrc in this folder would change every figure; move it away")


def of_caller() -> dict[str, str]:
    """The environment as it was before `pin`, for processes that are started from here."""
    return {name: value for name, value in os.environ.items() if name not in PINS} | _before


def ignored() -> dict[str, str]:
    """What is set outside the repository and has no effect in it: variables and files, with their values, sorted."""
    found = dict(_before)
    keras = Path(_before.get("KERAS_HOME", "~/.keras"), "keras.json").expanduser()
    if keras.is_file() and (text := keras.read_text(errors="replace")) != json.dumps(KERAS_DEFAULTS, indent=4):
        found["keras.json"] = " ".join(text.split())
    for folder in ("~/.config/matplotlib", "~/.matplotlib", os.environ.get("MPLCONFIGDIR", "")):
        if folder and (file := Path(folder, "matplotlibrc").expanduser()).is_file():
            found["matplotlibrc"] = str(file)
    return dict(sorted(found.items()))
