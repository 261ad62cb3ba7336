"""What a served model carries along: its code, its requirements, how it is called."""

import base64
import hashlib
import re
from importlib.metadata import version
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

import cv2
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType, Array, Map

from src import drawn, identity, plain_yaml

SERVED = "src.served"  # the package with MLflow's `_load_pyfunc`
COMPUTING = (
    *("h5py", "keras", "matplotlib", "mtcnn", "numpy", "opencv-python-headless", "pandas", "pillow", "scikit-learn"),
    *("scipy", "tensorflow"),
)  # of libraries.yaml; Matplotlib only because its settings are pinned
READING = ("absl-py", "pydantic", "ruamel.yaml")
IMPORT = re.compile(r"^(\s*(?:from|import) )src\b", re.MULTILINE)


def code(folder: Path) -> Path:
    """Writes SERVED, and what it imports of this repository, as a package in `folder`; returns the package.

    It is called by its content. As `src`, it would be taken for the `src` of whoever loads it, and two models of which
    one is older for each other.
    """
    sources = Path(__file__).parents[1]
    finder = ModuleFinder([str(sources.parent)])
    finder.import_hook(f"{SERVED}.model")
    modules: dict[str, Any] = finder.modules
    paths = sorted(Path(found.__file__) for found in modules.values() if found.__file__)
    texts = {path.relative_to(sources): path.read_text(encoding="utf-8") for path in paths}
    texts[Path("__init__.py")] = ""  # src's own would pin settings before `_load_pyfunc` can note what they were
    content = "".join(f"{path.as_posix()}\n{text}" for path, text in texts.items())
    package = folder / f"face_emotions_{hashlib.sha256(content.encode()).hexdigest()[:8]}"
    for path, text in texts.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(IMPORT.sub(rf"\1{package.name}", text), encoding="utf-8", newline="\n")
    return package


def loader(package: Path) -> str:
    """The module of `package` in which MLflow finds `_load_pyfunc`."""
    return SERVED.replace("src", package.name, 1)


def requirements() -> list[str]:
    """What the code imports, in the versions with which it was trained, whatever is installed by now."""
    trained = plain_yaml.read(Path(identity.LIBRARIES))
    return [f"{name}=={trained[name]}" for name in COMPUTING] + [f"{name}=={version(name)}" for name in READING]


def signature() -> ModelSignature:
    """Says what the model takes and gives. It checks its input itself, as one bad photo is not to fail the others."""
    found = ModelSignature(
        inputs=Schema([ColSpec(AnyType())]),
        outputs=Schema(
            [
                ColSpec(DataType.string, "photo"),
                ColSpec(DataType.long, "face", required=False),
                ColSpec(Array(DataType.long), "box", required=False),
                ColSpec(DataType.double, "roll", required=False),
                ColSpec(DataType.string, "label", required=False),
                ColSpec(DataType.double, "probability", required=False),
                ColSpec(Map(DataType.double), "probabilities", required=False),
                ColSpec(DataType.string, "error", required=False),
            ]
        ),
        params=ParamSchema([ParamSpec("cropped", DataType.boolean, False)]),
    )
    # MLflow hands the input on as it is, as it does for a model with type hints. Otherwise it would make a table of it,
    # in which arrays have no place, and text as long in each cell as in the longest.
    found._is_signature_from_type_hint = True
    return found


def example() -> tuple[list[str], dict[str, Any]]:
    """A call that works: one drawn face, no one's, in base64."""
    pixels = drawn.draw(0, "happy", 96, seed=1)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes()
    return [base64.b64encode(data).decode()], {"cropped": False}
