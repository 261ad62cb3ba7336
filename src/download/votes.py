"""What people see in the images: data/votes.csv, one row for each image on which somebody voted.

Of drawn faces it is what was drawn. Of FER-2013 it is FER+, the votes of ten people: of Kaggle's archive by the content
of the image files, which comes with the code (ferplus/); of `fer2013.csv` by the row, from FER+'s own table, which the
user brings.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from src.core import raw
from src.core.files import root
from src.core.labels import canonical
from src.errors import UserError, printable

FER_PLUS = Path(__file__).with_name("ferplus") / "votes.csv.gz"
DIGITS = 16  # of the SHA-256 in that table
# Of FER+'s own table, beside Usage and Image name.
ANSWERS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")


def table(archive: Path, labels: Iterable[str], drawn: bool, votes_path: str | None) -> pd.DataFrame:
    """Columns member; voters, how many people voted; and for each label the votes for it, in the order of `labels`.

    The rest voted for another emotion, for "unknown" or for "not a face".

    Args:
        archive: as the download stage writes it.
        drawn: its names say what was drawn.
        votes_path: of FER+'s own table, whose rows are those of fer2013.csv; relative to the repository root.

    Raises:
        UserError: there is no such table, it is another one, or the images did not come from fer2013.csv.
    """
    with raw.opened(archive) as opened:
        members = sorted(opened.namelist())
        if drawn:
            votes = _drawn(members)
        elif votes_path is None:
            digests = [hashlib.sha256(raw.read(opened, member)).hexdigest()[:DIGITS] for member in members]
            votes = pd.read_csv(FER_PLUS, index_col="sha256").reindex(digests)
        else:
            votes = _by_row(members, votes_path)
    votes = votes.set_axis(pd.Index(members, name="member")).dropna().astype(int)
    named = votes.rename(columns=canonical)
    found = pd.DataFrame({"voters": votes.sum(axis=1)})
    for label in labels:
        found[label] = named.get(canonical(label), 0)
    return found.reset_index()


def _drawn(members: list[str]) -> pd.DataFrame:
    """One vote for what the name says: `train/angry/00012_happy.jpg`."""
    shown = pd.Series([Path(member).stem.partition("_")[2] for member in members])
    return pd.get_dummies(shown)


def _by_row(members: list[str], votes_path: str) -> pd.DataFrame:
    """The rows of FER+'s table that belong to members named `<Usage>_<row>.png`, as fer_csv.py names them."""
    path, source = root() / votes_path, f"votes_path: {printable(votes_path)}"
    try:
        rows = pd.read_csv(path, dtype=dict.fromkeys(ANSWERS, "Int64"))
    except (OSError, ValueError, TypeError) as error:  # the last for half a vote
        raise UserError(f"{source} cannot be read: {printable(str(error))}") from error
    if missing := [name for name in ("Usage", *ANSWERS) if name not in rows]:
        raise UserError(f"{source} is not FER+'s fer2013new.csv: it has no column {', '.join(missing)}")
    votes = rows[list(ANSWERS)]
    if len(wrong := rows.index[votes.isna().any(axis=1) | (votes < 0).any(axis=1)]):
        raise UserError(f"{source}, line {wrong[0] + 2}: a count of votes is missing or below 0")
    names = pd.Series(members).str.extract(r"/(Training|PublicTest|PrivateTest)_(\d+)\.png$")
    if names.isna().to_numpy().any():
        raise UserError(
            f"{source} goes by the rows of fer2013.csv, and these images come from elsewhere, the first is "
            f"{members[int(names.isna().any(axis=1).to_numpy().argmax())]}: set votes_path=null"
        )
    numbers = names[1].astype(int)
    usage = rows["Usage"].reindex(numbers).reset_index(drop=True)
    if len(wrong := numbers[usage != names[0]]):
        row, name = wrong.iloc[0], names[0][wrong.index[0]]
        raise UserError(f"{source} does not fit: row {row} is {name} in fer2013.csv, and another part there")
    return votes.loc[numbers]
