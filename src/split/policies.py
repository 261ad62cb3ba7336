"""Split: raw archive -> manifest, by the policy that params.yaml names."""

from pathlib import Path

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from src.core.manifest import LEFT_OUT, SPLITS, straddling
from src.errors import UserError, printable
from src.params import Split
from src.split import duplicates

ISSUES = Path("label_errors/issues.csv")  # what src.label_errors finds; it lies in git, and a user may edit it


def build(archive: Path, split: Split) -> pd.DataFrame:
    """One row per image: member, sha256 (of its file), label, split, group (of duplicates and near-duplicates).

    Raises:
        UserError: a label with too few training images to give some to validation, or a leak under `clean`.
    """
    table, hashes = duplicates.fingerprint(archive)  # one row per member: member, sha256
    folder, label = (table["member"].str.split("/", n=2).str[part] for part in (0, 1))
    table = table.assign(label=label, split=LEFT_OUT, group=duplicates.groups(table["sha256"], hashes, split.near_bits))
    policy = {"report": _report, "holdout": _holdout, "clean": _clean, "train_folder": _train_folder}[split.policy]
    table["split"] = policy(table, folder, split)
    if split.leave_out == "issues":
        table["split"] = table["split"].mask((table["split"] == "train") & _listed(table), LEFT_OUT)
    if split.train_share < 1:
        table["split"] = _thin_out(table, split)
    if split.policy == "clean" and len(leaking := straddling(table)):
        raise UserError(f"split.policy: clean left {len(leaking)} duplicate groups in two splits, first {leaking[0]}")
    return table


def _listed(table: pd.DataFrame) -> pd.Series:
    """Which rows have a content that is listed."""
    try:
        return table["sha256"].isin(pd.read_csv(ISSUES, usecols=["sha256"], dtype=str)["sha256"])
    except (OSError, ValueError) as error:
        raise UserError(f"split.leave_out: {ISSUES} is no csv with a column sha256: {printable(str(error))}") from error


def _report(table: pd.DataFrame, folder: pd.Series, split: Split) -> pd.Series:
    """As the report did: the train folder trains, the test folder validates."""
    return folder.map({"train": "train", "test": "validation"})


def _train_folder(table: pd.DataFrame, folder: pd.Series, split: Split) -> pd.Series:
    """The train folder trains and, there being no other split, validates; the test folder is not used."""
    return folder.map({"train": "train", "test": LEFT_OUT})


def _thin_out(table: pd.DataFrame, split: Split) -> pd.Series:
    """Leaves out training images, the same share of each label, until `split.train_share` is left."""
    train = table.loc[table["split"] == "train", "label"]
    try:
        _, out = train_test_split(train.index, train_size=split.train_share, stratify=train, random_state=split.seed)
    except ValueError as error:
        raise UserError(f"split.train_share = {split.train_share} leaves too few training images: {error}") from error
    return table["split"].where(~table.index.isin(out), LEFT_OUT)


def _holdout(table: pd.DataFrame, folder: pd.Series, split: Split) -> pd.Series:
    """A stratified part of the train folder validates; the test folder is kept back until evaluate."""
    assigned = folder.copy()
    train = table.loc[folder == "train", "label"]
    try:
        _, validation = train_test_split(
            train.index, test_size=split.validation_share, stratify=train, random_state=split.seed
        )
    except ValueError as error:
        raise _cannot_divide(split, error) from error
    assigned[validation] = "validation"
    _check_labels(table["label"], assigned, split)
    return assigned


def _clean(table: pd.DataFrame, folder: pd.Series, split: Split) -> pd.Series:
    """No duplicate group in two splits: the test part stays whole, what repeats it or contradicts itself leaves.

    Where names carry FER-2013's official split, PublicTest validates and PrivateTest tests. Elsewhere the test
    folder tests, and a stratified part of the train folder validates, whole groups at a time.
    """
    name, group = table["member"].str.split("/").str[-1], table["group"]
    official = (name[folder == "test"].str.match("(Public|Private)Test_")).all()
    assigned = folder.copy()
    if official:
        assigned[name.str.startswith("PublicTest_")] = "validation"

    contradictory = table.groupby("group")["label"].transform("nunique") > 1
    copy = table.assign(split=assigned).duplicated(["sha256", "split"])
    for part, above in (("validation", ["test"]), ("train", ["test", "validation"])):
        repeats = group.isin(group[assigned.isin(above)])
        assigned[(assigned == part) & (repeats | contradictory | copy)] = LEFT_OUT

    if not official:
        train = table[assigned == "train"]
        folds = StratifiedGroupKFold(max(2, round(1 / split.validation_share)), shuffle=True, random_state=split.seed)
        try:
            _, validation = next(folds.split(train, train["label"], train["group"]))
        except ValueError as error:
            raise _cannot_divide(split, error) from error
        assigned[train.index[validation]] = "validation"
    _check_labels(table["label"], assigned, split)
    return assigned


def _check_labels(label: pd.Series, assigned: pd.Series, split: Split) -> None:
    for part in SPLITS:
        if missing := sorted(set(label) - set(label[assigned == part])):
            raise _cannot_divide(split, f"{', '.join(missing)} would have no image in {part}")


def _cannot_divide(split: Split, error: ValueError | str) -> UserError:
    return UserError(f"split.validation_share = {split.validation_share} does not divide the train folder: {error}")
