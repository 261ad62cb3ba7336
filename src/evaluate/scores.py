"""Probabilities and true labels -> the numbers and tables of evaluate."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, precision_recall_fscore_support


def metrics(actual: np.ndarray, probabilities: np.ndarray, labels: list[str], majority: int) -> dict[str, Any]:
    """Accuracy, loss, macro F1, the majority-class baseline, and precision, recall, F1 and count per label.

    Args:
        actual: (n,) label positions.
        probabilities: (n, labels), rows add up to 1.
        majority: the most frequent label of the training part, which the baseline always answers.
    """
    positions = np.arange(len(labels))
    predicted = probabilities.argmax(axis=1)
    # In double precision a confident mistake costs what it costs in Keras, which scores logits.
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    per_label = precision_recall_fscore_support(actual, predicted, labels=positions, zero_division=0)
    names = ("precision", "recall", "f1", "images")
    return {
        "images": len(actual),
        "accuracy": float(accuracy_score(actual, predicted)),
        "loss": float(log_loss(actual, exact, labels=positions)),
        "macro_f1": float(f1_score(actual, predicted, labels=positions, average="macro", zero_division=0)),
        "majority_baseline": float((actual == majority).mean()),
        "labels": {
            label: {name: column[number].item() for name, column in zip(names, per_label, strict=True)}
            for number, label in enumerate(labels)
        },
    }


def crowd(seen: pd.Series, actual: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Agreement with what people see, on the images for which more than half of them voted for one label.

    Args:
        seen: (n,) the label for which more than half voted, NaN where there is none.
        actual: (n,) the labels under which they are filed.
        predicted: (n,) labels, too.

    Returns:
        `images`, how many these are; `accuracy` of the predictions; `filed_labels`, that of the labels under which they
        are filed. Empty where nobody voted.
    """
    agreed = seen.notna().to_numpy()
    if not agreed.any():
        return {}
    return {
        "images": int(agreed.sum()),
        "accuracy": float((predicted[agreed] == seen[agreed]).mean()),
        "filed_labels": float((actual[agreed] == seen[agreed]).mean()),
    }


def summary(evaluated: dict[str, Any], trained: dict[str, Any]) -> dict[str, Any]:
    """What experiments are compared by: the few numbers that DVC lists.

    Flat, and no name that a param has, as `dvc exp show` would put the file before both. `ece` is the expected
    calibration error that is left after calibration.

    Args:
        evaluated: metrics/eval.json, with all else.
        trained: metrics/train.json.
    """
    return {
        "accuracy": evaluated["accuracy"],
        "train_accuracy": trained["accuracy"],
        **({"crowd_accuracy": evaluated["crowd"]["accuracy"]} if "crowd" in evaluated else {}),
        "macro_f1": evaluated["macro_f1"],
        "loss": evaluated["loss"],
        "ece": evaluated["calibration"]["error_after"],
        "parameters": trained["parameters"],
        "faces": evaluated["source"],
        **{f"accuracy_at_{angle}": accuracy for angle, accuracy in evaluated.get("rotations", {}).items()},
    }


def confusion(actual: np.ndarray, predicted: np.ndarray, labels: list[str]) -> pd.DataFrame:
    """A row per true label, which stands in `actual`, with the counts of each predicted one."""
    counts = confusion_matrix(actual, predicted, labels=np.arange(len(labels)))
    table = pd.DataFrame(counts, columns=labels)
    table.insert(0, "actual", labels)
    return table


def predictions(members: pd.Series, actual: np.ndarray, probabilities: np.ndarray, labels: list[str]) -> pd.DataFrame:
    """One row per image: member, actual, predicted, then the probability of each label."""
    names = np.array(labels)
    table = pd.DataFrame(
        {"member": members.to_numpy(), "actual": names[actual], "predicted": names[probabilities.argmax(axis=1)]}
    )
    return pd.concat([table, pd.DataFrame(probabilities, columns=labels)], axis=1)
