"""Labels for training by people's votes in place of the set's own."""

import pandas as pd

from src.core.manifest import LEFT_OUT, VOTES
from src.core.votes import majority
from src.errors import UserError


def relabelled(table: pd.DataFrame, votes: pd.DataFrame, how: str) -> pd.DataFrame:
    """The manifest, with training images labelled by `votes`; what is scored keeps the label of its folder.

    Args:
        votes: as core/votes.py says.
        how: `majority`: the label for which more than half voted; an image without one is left out. `soft`: the votes
            for each label, in columns of their own; an image is left out of which not more than half voted for any of
            the labels. Its label is then the most frequent, the first of equals.

    Raises:
        UserError: no image has votes, or a label has no training image left.
    """
    counts = table[["member"]].merge(votes, "left", on="member").drop(columns="member").set_index(table.index)
    voters, labels = counts.pop("voters"), counts
    train = table["split"] == "train"
    if voters[train].isna().all():
        raise UserError(
            f"split.votes = {how}: nobody has voted on these images; votes are known of drawn faces and of FER-2013, "
            "there for fer2013.csv with -S votes_path=fer2013new.csv"
        )
    if how == "majority":
        seen = majority(votes, table["member"])
    else:
        some = 2 * labels.sum(axis=1) > voters
        seen = labels[some].idxmax(axis=1).reindex(table.index)
    decided = train & seen.notna()
    table = table.assign(split=table["split"].mask(train & ~decided, LEFT_OUT))
    table.loc[decided, "label"] = seen[decided]
    if lost := [label for label in labels.columns if label not in set(table.loc[decided, "label"])]:
        raise UserError(f"split.votes = {how} leaves {', '.join(lost)} without a training image")
    if how == "soft":
        table = table.join(labels.where(decided, 0).astype(int).add_prefix(VOTES))
    return table
