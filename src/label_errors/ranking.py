"""Out-of-fold probabilities -> which labels are probably wrong, and how well that agrees with what people see."""

from typing import Any

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import roc_auc_score

from src.core.votes import majority

FIRST = (100, 1000, 3000)


def ranked(table: pd.DataFrame, probabilities: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """The images, the most suspicious label first: that of the least probability, as by loss.

    cleanlab calls this self-confidence. Its other order, the margin to the most probable label after each label's
    threshold is taken off, suspects less what is rare; on FER-2013 and on drawn faces it found fewer wrong labels.

    Args:
        table: member, sha256 and label of each image.
        probabilities: member, and the probability of each label from a network that has not trained on the image.

    Returns:
        Columns member, sha256, label; `suggested`, the most probable label; `confidence` in the label and `margin`,
        each from 0 to 1; `issue`, whether it is one of those that confident learning counts as wrong (Northcutt, Jiang
        and Chuang, 2021).
    """
    table = table.merge(probabilities, on="member")
    said = table[labels].to_numpy(np.float64)
    said = said / said.sum(axis=1, keepdims=True)  # in double precision, to which cleanlab holds it
    given = table["label"].map({label: number for number, label in enumerate(labels)}).to_numpy()
    margin = get_label_quality_scores(given, said, method="normalized_margin", adjust_pred_probs=True)
    ranked = table[["member", "sha256", "label"]].assign(
        suggested=np.array(labels)[said.argmax(axis=1)],
        confidence=get_label_quality_scores(given, said, method="self_confidence").round(6),
        margin=margin.round(6),
        issue=find_label_issues(given, said, n_jobs=1),
    )
    return ranked.sort_values(["confidence", "member"], ignore_index=True)


def agreement(ranking: pd.DataFrame, votes: pd.DataFrame) -> dict[str, Any]:
    """How often a suspected label is one that more than half of the people do not see.

    Images without such a majority are left aside: nobody knows whether their label is wrong.

    Args:
        ranking: as from `ranked`.
        votes: as core/votes.py says; the ranking has not seen them.

    Returns:
        `images` that are judged; `wrong`, the share of them whose label is, which a random order finds; of the order by
        `confidence` and that by `margin`: the share of wrong labels among the first 100, 1,000 and 3,000, and the area
        under the ROC curve; how many of the `issues` are judged, and their share. Empty where nobody voted.
    """
    seen = majority(votes, ranking["member"])
    ranking, seen = ranking[seen.notna()], seen.dropna()
    if ranking.empty:
        return {}
    wrong = (seen != ranking["label"]).to_numpy()
    found: dict[str, Any] = {"images": len(wrong), "wrong": round(float(wrong.mean()), 4)}
    for name in ("confidence", "margin"):
        order = np.argsort(ranking[name].to_numpy(), kind="stable")
        firsts = {f"first_{count}": float(wrong[order[:count]].mean()) for count in FIRST if count <= len(wrong)}
        both = wrong.any() and not wrong.all()
        found[name] = {**firsts, **({"auc": round(float(roc_auc_score(wrong, -ranking[name])), 4)} if both else {})}
    issues = ranking["issue"].to_numpy()
    found["issues"] = {"images": int(issues.sum()), **({"wrong": float(wrong[issues].mean())} if issues.any() else {})}
    return found
