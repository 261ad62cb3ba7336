"""data/votes.csv: what people see in the images. One row for each on which somebody voted, with the columns member,
voters, how many they were, and for each label the votes for it."""

import pandas as pd


def majority(votes: pd.DataFrame, members: pd.Series) -> pd.Series:
    """The label for which more than half voted, of each of `members` and with their index; NaN where there is none."""
    counts = votes.set_index("member").reindex(members).set_axis(members.index)
    voters, labels = counts.pop("voters"), counts
    agreed = 2 * labels.max(axis=1) > voters
    return labels[agreed].idxmax(axis=1).reindex(members.index)
