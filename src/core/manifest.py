"""The manifest: one row per image, sorted by member, with the columns member, sha256, label, split, group.

Where training goes by people's votes on each label, these follow, one column for each label.
"""

from pathlib import Path

import pandas as pd

SPLITS = ("train", "validation", "test")
LEFT_OUT = "left_out"
VOTES = "votes_"  # and a label: the name of such a column


def read(path: Path) -> pd.DataFrame:
    """The manifest at `path`, as `policies.build` made it. Names are text, also `NA` and `007`."""
    text = dict.fromkeys(("member", "sha256", "label", "split"), str)
    return pd.read_csv(path, dtype=text, keep_default_na=False)


def straddling(table: pd.DataFrame) -> list[int]:
    """The duplicate groups with images in more than one split."""
    used = table[table["split"] != LEFT_OUT]
    splits = used.groupby("group")["split"].nunique()
    return splits.index[splits > 1].tolist()
