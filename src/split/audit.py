"""What a split is worth: duplicates, contradicting labels, leaks, counts."""

from itertools import combinations
from typing import Any

import pandas as pd

from src.core.manifest import LEFT_OUT, SPLITS


def audit(table: pd.DataFrame) -> dict[str, Any]:
    """Counts over a manifest.

    `duplicates`: files with the bytes of another one before them; contents with more than one label; groups of
    near-duplicates, i.e. groups of more than one content. `leaks`, per pair of splits: contents that are in both
    (`exact`), and groups that are in both without sharing a content (`near`).
    """
    contents = table.groupby("sha256")
    in_groups = table.groupby("group")["sha256"].nunique()
    used = [split for split in SPLITS if (table["split"] == split).any()]
    return {
        "images": {
            split: table.loc[table["split"] == split, "label"].value_counts().sort_index().to_dict()
            for split in [*used, LEFT_OUT]
        },
        "duplicates": {
            "extra_copies": int(table["sha256"].duplicated().sum()),
            "contents_with_several_labels": int((contents["label"].nunique() > 1).sum()),
            "near_duplicate_groups": int((in_groups > 1).sum()),
        },
        "leaks": {f"{one}-{other}": _leaks(table, one, other) for one, other in combinations(used, 2)},
    }


def _leaks(table: pd.DataFrame, one: str, other: str) -> dict[str, int]:
    left, right = (table[table["split"] == split] for split in (one, other))
    shared = set(left["sha256"]) & set(right["sha256"])
    exact_groups = set(table.loc[table["sha256"].isin(shared), "group"])
    groups = set(left["group"]) & set(right["group"])
    return {
        "exact": len(shared),
        "near": len(groups - exact_groups),
        f"{other}_images": int(right["group"].isin(groups).sum()),
    }
