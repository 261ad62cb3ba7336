"""Split: raw archive -> manifest, one row per image, sorted by member."""

import hashlib
import zipfile
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from src.errors import UserError
from src.params import Split

SPLITS = ("train", "validation", "test")


def build(archive: Path, split: Split) -> pd.DataFrame:
    """One row per image: member, sha256 (of its file), label, split, group.

    Images with the same bytes share a `group`, which is numbered by first appearance.

    Raises:
        UserError: a label with too few training images to give some to validation.
    """
    with zipfile.ZipFile(archive) as opened:
        members = sorted(opened.namelist())
        progress = tqdm(members, desc="hash", unit="image", mininterval=1)
        hashes = [hashlib.sha256(opened.read(member)).hexdigest() for member in progress]
    table = pd.DataFrame({"member": members, "sha256": hashes})
    folder, table["label"] = (table["member"].str.split("/", n=2).str[part] for part in (0, 1))
    table["split"] = _report(folder) if split.policy == "report" else _holdout(folder, table["label"], split)
    table["group"] = pd.factorize(table["sha256"])[0]
    return table


def _report(folder: pd.Series) -> pd.Series:
    """As the report did: the train folder trains, the test folder validates."""
    return folder.map({"train": "train", "test": "validation"})


def _holdout(folder: pd.Series, label: pd.Series, split: Split) -> pd.Series:
    """A stratified part of the train folder validates; the test folder is kept back until evaluate."""
    assigned = folder.copy()
    train = label[folder == "train"]
    try:
        _, validation = train_test_split(
            train.index, test_size=split.validation_share, stratify=train, random_state=split.seed
        )
    except ValueError as error:
        raise UserError(
            f"split.validation_share = {split.validation_share} does not divide the train folder: {error}"
        ) from error
    assigned[validation] = "validation"
    return assigned


def read(path: Path) -> pd.DataFrame:
    """The manifest at `path`, as `build` made it. Names are text, also `NA` and `007`."""
    text = {column: str for column in ("member", "sha256", "label", "split")}
    return pd.read_csv(path, dtype=text, keep_default_na=False)
