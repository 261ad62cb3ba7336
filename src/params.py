"""params.yaml as typed, frozen, validated objects; nothing else reads that file.

No stage depends on this module, so it only refuses: what a stage reads is what params.yaml says, unchanged.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from src import plain_yaml
from src.core.labels import canonical
from src.errors import UserError, printable

# Columns that tables have beside those of the labels: data/predictions.csv, metrics/confusion.csv, `predict --csv`.
COLUMNS = {
    *("member", "sha256", "group", "fold", "voters", "actual", "predicted", "temperature", "source"),
    *("photo", "face", "left", "top", "right", "bottom", "roll", "label", "probability", "error"),
}
MOST_IMAGES = 10_000_000  # of a dataset


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,59}", value):  # so that `dvc exp run -S` takes it as a key
        raise ValueError("a dataset's name begins with a letter and holds A to Z, a to z, digits, '_', '-', at most 60")
    return value


def _label(value: str) -> str:
    # What MLflow takes as part of a name (mlflow.utils.validation), less what a folder could not be called.
    if not re.fullmatch(r"\w([\w .-]{0,58}\w)?", value):
        raise ValueError(
            "a label holds letters (accents composed), digits, '_' and, inside it, blanks, '.' and '-', at most 60 in "
            "all; where a folder is called otherwise, layout.labels maps its name onto a label"
        )
    if canonical(value) in COLUMNS:
        raise ValueError("tables have a column of that name beside those of the labels")
    return value


def _apart(labels: Iterable[str]) -> Iterable[str]:
    seen: dict[str, str] = {}
    for label in labels:
        if other := seen.get(canonical(label)):
            raise ValueError(f"{other!r} and {label!r} are two spellings of one label")
        seen[canonical(label)] = label
    return labels


def _countable(labels: dict[str, int]) -> dict[str, int]:
    if sum(labels.values()) > MOST_IMAGES:
        raise ValueError(f"these are {sum(labels.values())} images, and {MOST_IMAGES} is the most")
    return labels


def _printed(value: str) -> str:
    if re.search(r"[\x00-\x1f\x7f-\x9f]", value):
        raise ValueError("it holds a control character")
    return value


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("one of them stands there twice")
    return values


def _folder(value: str) -> str:
    parts = PurePosixPath(value).parts  # without `//` and `.`
    if value.startswith("/") or "\\" in value or not parts or any(part.startswith(".") for part in parts):
        raise ValueError("it must be a relative path with slashes, no part of which starts with a dot: images/train")
    return value


Seed = Annotated[int, Field(ge=0, lt=2**31)]
Handle = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]*/[A-Za-z0-9][\w-]*(/versions/[1-9][0-9]*)?$")]
Printed = Annotated[str, Field(max_length=4096), AfterValidator(_printed)]
Folder = Annotated[Printed, AfterValidator(_folder)]
FolderName = Annotated[Printed, Field(pattern="^[^/]+$")]
Label = Annotated[str, AfterValidator(_label)]
LabelCount = Field(min_length=2, max_length=255)  # a position is one byte in data/arrays
Apart = AfterValidator(_apart)
LabelNames = Annotated[tuple[Label, ...], LabelCount, Apart]
Name = Annotated[str, AfterValidator(_name)]
Source = Literal["rendered", "local", "kaggle"]
ConvLayers = Annotated[int, Field(ge=1, le=4)]
InputSize = Annotated[int, Field(ge=8, le=1024)]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Align = Literal["none", "eyes", "segmentation"]
Precision = Literal["float32", "mixed_bfloat16"]
Portable = bool | Literal["avx512"]
Kind = TypeVar("Kind")
ONE, SEVERAL = "[one]", "[several]"  # pydantic names them in an error, as the "[key]" of a dictionary
if TYPE_CHECKING:
    OneOrSeveral = tuple[Kind, ...]
else:
    OneOrSeveral = Annotated[  # a value or a list of them; here a tuple, and written again as one gives it
        Annotated[Kind, Tag(ONE)] | Annotated[tuple[Kind, ...], Field(min_length=1, max_length=4), Tag(SEVERAL)],
        Discriminator(lambda value: SEVERAL if isinstance(value, list | tuple) else ONE),
        AfterValidator(_tuple),
        PlainSerializer(lambda values: values[0] if len(values) == 1 else values),
    ]


class Section(BaseModel):
    """A param with a default came later than others: experiments from before it ran with that value."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


Checked = TypeVar("Checked", bound=Section)


class Dataset(Section):
    part_of: Name | None = None
    native_size: Annotated[int, Field(ge=16, le=4096)]
    input_size: InputSize
    labels: Annotated[
        dict[Label, Annotated[int, Field(ge=1, le=MOST_IMAGES)]], LabelCount, Apart, AfterValidator(_countable)
    ]

    @property
    def images(self) -> int:
        """Of all labels together."""
        return sum(self.labels.values())


class Layout(Section):
    train: Folder
    test: Folder
    labels: Annotated[dict[FolderName, str], Field(max_length=1000)]
    skip_others: bool

    @model_validator(mode="after")
    def _apart(self) -> "Layout":
        train, test = (PurePosixPath(unicodedata.normalize("NFC", folder)) for folder in (self.train, self.test))
        if train.is_relative_to(test) or test.is_relative_to(train):
            raise ValueError("train and test must be two folders, neither of them inside the other")
        return self


class Limits(Section):
    member_bytes: Annotated[int, Field(ge=1, le=2**31)]  # read whole
    total_bytes: Annotated[int, Field(ge=1, le=10**15)]
    image_pixels: Annotated[int, Field(ge=1, le=89_478_485)]  # above that Pillow itself warns of a bomb


class Rendered(Section):
    scale: Annotated[float, Field(gt=0, le=1)]
    test_share: Annotated[float, Field(gt=0, lt=1)]
    label_noise: Annotated[float, Field(ge=0, le=1)]
    seed: Seed


class Usable(Section):
    faces: Annotated[int, Field(ge=7, le=1_000_000)]
    epochs: Annotated[int, Field(ge=1, le=999_999)]
    kept: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0, lt=2**31 - 1)]


class Segmentation(Section):
    faces: Annotated[int, Field(ge=2, le=1_000_000)]
    epochs: Annotated[int, Field(ge=1, le=999_999)]
    seed: Annotated[int, Field(ge=0, lt=2**31 - 1)]


class Split(Section):
    policy: Literal["report", "holdout", "clean", "train_folder"]
    train_share: Annotated[float, Field(gt=0, le=1)]
    validation_share: Annotated[float, Field(gt=0, lt=1)]
    near_bits: Annotated[int, Field(ge=0, le=256)]
    seed: Seed
    votes: Literal["none", "majority", "soft"] = "none"
    leave_out: Literal["none", "issues"] = "none"


class Preprocess(Section):
    interpolation: Interpolation
    align: Align = "none"
    skip_unreadable: bool
    usable: Literal["none", "network"] = "none"


class Model(Section):
    filters: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=4, max_length=4)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    dropout_at: Annotated[OneOrSeveral[Literal["flatten", "dense", "blocks"]], AfterValidator(_distinct)] = ("flatten",)
    dense_units: OneOrSeveral[Annotated[int, Field(ge=1, le=65_536)]]


class Augmentation(Section):
    zoom: Annotated[float, Field(ge=0, lt=1)]


class Train(Section):
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "one_cycle"] = "constant"
    precision: Precision = "float32"


class Evaluate(Section):
    rotations: Annotated[tuple[Annotated[int, Field(ge=-180, le=180)], ...], Field(max_length=361)] = ()


class Params(Section):
    dataset: str
    source: Source
    local_path: Printed | None
    local_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    votes_path: Printed | None = None
    epochs: Annotated[int, Field(ge=1, le=999_999)]  # a checkpoint is named by six digits
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    conv_layers: ConvLayers
    seed: Seed
    threads: Annotated[int, Field(ge=1, le=1024)]
    portable: Portable
    device: Literal["cpu", "gpu"] = "cpu"
    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)]
    kaggle: dict[str, Handle | None]
    layout: Layout
    limits: Limits
    rendered: Rendered
    split: Split
    usable: Usable = Usable(faces=6000, epochs=20, kept=0.98, seed=1)
    segmentation: Segmentation = Segmentation(faces=6000, epochs=15, seed=1)
    preprocess: Preprocess
    model: Model
    augmentation: Augmentation
    train: Train
    evaluate: Evaluate = Evaluate()

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        described = f"`datasets` describes {_shown(', '.join(self.datasets))}"
        if self.dataset not in self.datasets:
            raise ValueError(f"dataset = {_shown(repr(self.dataset))} is not allowed: {described}")
        for name, dataset in self.datasets.items():
            if dataset.part_of is not None:
                self._check_part(name, dataset, dataset.part_of)
        for name, handle in self.kaggle.items():
            if name not in self.datasets:
                raise ValueError(f"kaggle.{_shown(name)} is of no dataset: {described}; add it there first")
            if handle and (whole := self.datasets[name].part_of):
                raise ValueError(f"kaggle.{name} is never read, as {name} is a part of {whole}: set kaggle.{whole}")
        if self.train.precision == "mixed_bfloat16" and self.portable:
            raise ValueError(
                "train.precision = mixed_bfloat16 takes the 16-bit kernels that this CPU has, which others have not: "
                "set portable=false with it"
            )
        if self.device == "gpu" and self.portable:
            raise ValueError("device = gpu gives other bits than a CPU: set portable=false with it")
        if self.votes_path and self.source != "local":
            raise ValueError(f"votes_path goes with fer2013.csv, and source is {self.source}: set votes_path=null")
        if self.split.votes != "none" and self.split.policy == "train_folder":
            raise ValueError(
                f"split.votes = {self.split.votes} labels the training images, which split.policy = train_folder also "
                "scores, by the set's own labels: choose another policy"
            )
        if self.source == "local" and not self.local_path:
            raise ValueError("source is local, so local_path must name a zip or a folder: -S local_path=faces.zip")
        if self.source == "kaggle" and not self.kaggle.get(self.whole):
            add = "" if self.whole in self.kaggle else "+"  # without it DVC changes only what there is
            raise ValueError(
                f"source is kaggle, so kaggle.{self.whole} must name the dataset to take: "
                f"-S {add}kaggle.{self.whole}=owner/name"
            )
        return self

    def _check_part(self, name: str, part: Dataset, of: str) -> None:
        place, whole = f"datasets.{name}.part_of = {of!r} is not allowed", self.datasets.get(of)
        if whole is None:
            raise ValueError(f"{place}: `datasets` describes {_shown(', '.join(self.datasets))}")
        if whole.part_of is not None:
            raise ValueError(f"{place}: {of} is itself a part of {whole.part_of}")
        if set(part.labels) != set(whole.labels):
            raise ValueError(f"datasets.{name}.labels must be the labels of datasets.{of}, of which it is a part")
        if part.images > whole.images:
            raise ValueError(f"{place}: {name} has {part.images} images, and {of} only {whole.images}")
        if name == self.dataset and part.native_size != whole.native_size:
            raise ValueError(f"datasets.{name}.native_size must be that of datasets.{of}, of which it is a part")

    def __getattr__(self, name: str) -> Any:
        if name in type(self).model_fields:
            raise AttributeError(f"dvc.yaml does not list {name} among the params of this stage")
        return super().__getattr__(name)  # pyright: ignore[reportAttributeAccessIssue]  pydantic hides it from checkers

    def only(self, names: Iterable[str]) -> "Params":
        """These params alone: reading another one is an error, as DVC would not know that a result depends on it."""
        narrowed = self.model_copy()
        for name in set(narrowed.__dict__).difference(names):
            del vars(narrowed)[name]
        return narrowed

    @property
    def data(self) -> Dataset:
        """The description of the dataset in use."""
        return self.datasets[self.dataset]

    @property
    def whole(self) -> Name:
        """The set that a source gives: all of that of which the dataset in use is a part, otherwise it itself."""
        return self.data.part_of or self.dataset


def load(path: Path = Path("params.yaml")) -> Params:
    """Reads and validates `path`, which must hold every param: DVC would not notice another default in this module.

    Raises:
        UserError: for every wrong value a line with the param, the value and what is allowed; for a missing one, too.
    """
    loaded = check(plain_yaml.read(path), path)
    if missing := [*_missing(loaded)]:
        raise UserError("\n".join(f"{path}: {param} is missing" for param in missing))
    return loaded


def _missing(section: Section, place: str = "") -> Iterator[str]:
    """Params that have their default because they were not given; one with the default None may be left away."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if name not in section.model_fields_set and field.default is not None:
            yield f"{place}{name}"
            continue
        for key, one in value.items() if isinstance(value, dict) else [(None, value)]:
            if isinstance(one, Section):
                yield from _missing(one, f"{place}{name}.{key}." if key else f"{place}{name}.")


def changed(values: dict[str, Any], changes: dict[str, object]) -> dict[str, Any]:
    """A copy of params with {"rendered.scale": 0.5} set, as `dvc exp run -S` would.

    Raises:
        KeyError: there is no such param.
    """
    copy = deepcopy(values)
    for name, value in changes.items():
        *sections, last = name.split(".")
        section = copy
        for part in sections:
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or last not in section:
            raise KeyError(name)
        section[last] = value
    return copy


def check(values: object, path: Path) -> Params:
    """Validates `values`, which were read from `path`; errors as in `load`."""
    return validated(Params, values, path)


def validated(kind: type[Checked], values: object, path: Path) -> Checked:
    """`values`, which were read from `path`, as a `kind` of section.

    Raises:
        UserError: for every wrong value a line with its name and what is allowed.
    """
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold lines of the form `name: value`")
    try:
        # JSON, because pydantic's strict mode then takes a list for a tuple; a date becomes text.
        return kind.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise UserError("\n".join(f"{path}: {line}" for line in described(error))) from error


def described(error: ValidationError) -> list[str]:
    """For each wrong value, up to 20, a line: which it is, and what is allowed."""
    lines = [_line(found) for found in error.errors()]
    return lines if len(lines) <= 20 else [*lines[:19], f"{len(lines) - 19} values more are not allowed"]


def _line(error: ErrorDetails) -> str:
    place = [str(part) for part in error["loc"] if part not in (ONE, SEVERAL)]
    message = error["msg"].removeprefix("Value error, ")
    if place[-1:] == ["[key]"]:  # of a dictionary, behind the key itself
        return f"{_shown('.'.join(place[:-2]))}: {_shown(repr(place[-2]))} is not allowed: {message}"
    param = _shown(".".join(place))
    if not param:
        return message
    if error["type"] == "missing":
        return f"{param} is missing"
    if error["type"] == "extra_forbidden":
        return f"{param} is not a known param; remove it or correct its name"
    return f"{param} = {_shown(repr(error['input']))} is not allowed: {message}"


def _shown(text: str) -> str:
    return printable(text if len(text) <= 200 else f"{text[:200]}…")
