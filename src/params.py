"""params.yaml as typed, frozen, validated objects; nothing else reads that file."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

from src.errors import UserError

PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Handle = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]*/[A-Za-z0-9][\w-]*(/versions/[1-9][0-9]*)?$")]
# Relative, with slashes; no part is empty or starts with a dot.
Folder = Annotated[str, Field(pattern=r"^[^./\\][^/\\]*(/[^./\\][^/\\]*)*$")]


Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]

Align = Literal["none", "eyes"]


class Section(BaseModel):
    """A param with a default came later than others: experiments from before it ran with that value."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Dataset(Section):
    native_size: Annotated[int, Field(ge=16, le=4096)]
    input_size: Annotated[int, Field(ge=8, le=1024)]
    labels: Annotated[dict[str, PositiveInt], Field(min_length=2, max_length=255)]

    @property
    def images(self) -> int:
        return sum(self.labels.values())


class Kaggle(Section):
    ai: Handle | None
    ai2: Handle | None


class Layout(Section):
    train: Folder
    test: Folder
    labels: dict[str, str]
    skip_others: bool

    @model_validator(mode="after")
    def _apart(self) -> "Layout":
        if f"{self.train}/".startswith(f"{self.test}/") or f"{self.test}/".startswith(f"{self.train}/"):
            raise ValueError("train and test must be two folders, neither of them inside the other")
        return self


class Limits(Section):
    member_bytes: PositiveInt
    total_bytes: PositiveInt
    image_pixels: Annotated[int, Field(ge=1, le=89_478_485)]  # above that Pillow itself warns of a bomb


class Rendered(Section):
    scale: Annotated[float, Field(gt=0, le=1)]
    test_share: Annotated[float, Field(gt=0, lt=1)]
    label_noise: Annotated[float, Field(ge=0, le=1)]
    seed: Seed


class Split(Section):
    policy: Literal["report", "holdout", "clean", "train_folder"]
    train_share: Annotated[float, Field(gt=0, le=1)]
    validation_share: Annotated[float, Field(gt=0, lt=1)]
    near_bits: Annotated[int, Field(ge=0, le=256)]
    seed: Seed


class Preprocess(Section):
    interpolation: Interpolation
    align: Align = "none"
    skip_unreadable: bool


class Model(Section):
    filters: Annotated[tuple[PositiveInt, ...], Field(min_length=4, max_length=4)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    dropout_at: Literal["flatten", "dense", "blocks"] = "flatten"
    dense_units: PositiveInt


class Augmentation(Section):
    zoom: Annotated[float, Field(ge=0, lt=1)]


class Train(Section):
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "one_cycle"] = "constant"
    precision: Literal["float32", "mixed_bfloat16"] = "float32"


class Evaluate(Section):
    rotations: tuple[Annotated[int, Field(ge=-180, le=180)], ...] = ()


class Params(Section):
    dataset: Literal["ai", "ai_half", "ai2"]
    source: Literal["rendered", "local", "kaggle"]
    local_path: str | None
    local_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    epochs: PositiveInt
    batch_size: PositiveInt
    conv_layers: Annotated[int, Field(ge=1, le=4)]
    seed: Seed
    threads: PositiveInt
    portable: bool
    device: Literal["cpu", "gpu"] = "cpu"
    datasets: dict[Literal["ai", "ai_half", "ai2"], Dataset]
    kaggle: Kaggle
    layout: Layout
    limits: Limits
    rendered: Rendered
    split: Split
    preprocess: Preprocess
    model: Model
    augmentation: Augmentation
    train: Train
    evaluate: Evaluate = Evaluate()

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        missing = {"ai", "ai_half", "ai2"} - set(self.datasets)
        if missing:
            raise ValueError(f"datasets must describe {', '.join(sorted(missing))} too")
        if set(self.datasets["ai_half"].labels) != set(self.datasets["ai"].labels):
            raise ValueError("datasets.ai_half.labels must be the labels of datasets.ai")
        if self.train.precision == "mixed_bfloat16" and self.portable:
            raise ValueError(
                "train.precision = mixed_bfloat16 takes the 16-bit kernels that this CPU has, which others have not: "
                "set portable=false with it"
            )
        if self.device == "gpu" and self.portable:
            raise ValueError("device = gpu gives other bits than a CPU: set portable=false with it")
        if self.source == "local" and not self.local_path:
            raise ValueError("source is local, so local_path must name a zip or a folder: -S local_path=faces.zip")
        if self.source == "kaggle" and self.whole == "ai2" and not self.kaggle.ai2:
            raise ValueError(
                "source is kaggle, but the report does not name its third set, so kaggle.ai2 must name the one "
                "to take in its place: -S kaggle.ai2=owner/name"
            )
        if self.source == "kaggle" and self.whole == "ai" and not self.kaggle.ai:
            raise ValueError("source is kaggle, so kaggle.ai must name a dataset: -S kaggle.ai=msambare/fer2013")
        return self

    @property
    def data(self) -> Dataset:
        """The description of the dataset in use."""
        return self.datasets[self.dataset]

    @property
    def whole(self) -> str:
        """The set that a source gives: the second one is a selection from the first, whatever the source."""
        return "ai" if self.dataset == "ai_half" else self.dataset


def load(path: Path = Path("params.yaml")) -> Params:
    """Reads and validates `path`.

    Raises:
        UserError: for every wrong value a line with the param, the value and what is allowed.
    """
    try:
        # YAML 1.2 as DVC writes it, where 1e-05 is a number; a key given twice is an error.
        return check(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")), path)
    except (OSError, YAMLError, TypeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as params: {error}") from error


def changed(values: dict, changes: dict[str, object]) -> dict:
    """A copy of params with {"rendered.scale": 0.5} set, as `dvc exp run -S` would.

    Raises:
        KeyError: there is no such param.
    """
    copy = deepcopy(values)
    for name, value in changes.items():
        *sections, last = name.split(".")
        section = copy
        for part in sections:
            section = section.get(part, {})
        if last not in section:
            raise KeyError(name)
        section[last] = value
    return copy


def check(values: object, path: Path) -> Params:
    """Validates `values`, which were read from `path`; errors as in `load`."""
    try:
        # JSON, because pydantic's strict mode then takes a list for a tuple.
        return Params.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise UserError("\n".join(_line(path, e) for e in error.errors())) from error


def _line(path: Path, error: dict) -> str:
    param = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    if not param:
        return f"{path}: {message}"
    if error["type"] == "missing":
        return f"{path}: {param} is missing"
    if error["type"] == "extra_forbidden":
        return f"{path}: {param} is not a known param; remove it or correct its name"
    return f"{path}: {param} = {error['input']!r} is not allowed: {message}"
