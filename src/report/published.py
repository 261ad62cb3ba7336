"""What the report publishes, beside what was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from scipy import stats

from src.report.selection import SET_1, SET_2, SET_3, TRAINING, VALIDATION, Accuracy, Configuration, Runs
from src.report.statistics import NOT_RUN, Conditions, Measured, alike, number

_CONTENT = YAML(typ="safe", pure=True).load(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))
Points = Mapping[int, Sequence[float]]  # epoch -> training and validation accuracy
RUNS: dict[str, Points] = _CONTENT["runs"]  # by the run's name
CLAIMS: dict[str, str] = _CONTENT["claims"]  # C1 and so on -> what it says
MEASURED: dict[str, Configuration] = {"curve": SET_1, "set 1": SET_1, "set 2": SET_2, "set 3": SET_3}
COLUMNS = (("training", TRAINING), ("validation", VALIDATION))


def comparison(runs: Runs) -> pd.DataFrame:
    """A line of text per published accuracy; `published inside` is yes, no or cannot be said."""
    return pd.DataFrame(
        {"run": name, "epoch": epoch, "of": of, "published": f"{accuracy:.4f}"}
        | _compared(accuracy, runs, Accuracy(MEASURED[name], curve, epoch))
        for name, points in RUNS.items()
        for epoch, accuracies in points.items()
        for (of, curve), accuracy in zip(COLUMNS, accuracies, strict=True)
    )


def _compared(published: float, runs: Runs, place: Accuracy) -> dict[str, object]:
    single, group = Measured(runs, Conditions(window=1)), runs.of(place.configuration)
    one_more, deviation = single.one_more(place), np.sqrt(single.spread(place).variance)
    too_short = f"runs end at epoch {group.epochs}" if group else NOT_RUN
    known = one_more.n and 0 < deviation < np.inf
    inside = "yes" if one_more.low <= published <= one_more.high else "no"
    return {
        "measured at that epoch": number(one_more.mean) if one_more.n else too_short,
        "last ten epochs": number(runs.values(place).mean()) if one_more.n else "",
        "one more run": f"{one_more.low:.4f} to {one_more.high:.4f}" if known else "",
        "seeds": one_more.n,
        "off by standard deviations": f"{(published - one_more.mean) / deviation:+.1f}" if known else "",
        "published inside": inside if known else "cannot be said",
    }


def together(runs: Runs) -> pd.DataFrame:
    """A line of text per curve of several published epochs: whether one more run would be as far off in all of them."""
    return pd.DataFrame(
        {
            "run": name,
            "of": of,
            "epochs": ", ".join(map(str, points)),
            "p": number(joint(runs, MEASURED[name], curve, {epoch: pair[column] for epoch, pair in points.items()})),
        }
        for name, every in RUNS.items()
        for points in ({epoch: pair for epoch, pair in every.items() if epoch <= 50}, every)
        if len(points) > 1
        for column, (of, curve) in enumerate(COLUMNS)
    )


def joint(runs: Runs, configuration: Configuration, curve: str, points: Mapping[int, float]) -> float:
    """The p-value of a run with these accuracies at these epochs being one more of the configuration's runs.

    Hotelling's T², "The generalization of Student's ratio", Ann. Math. Stat. 2, 1931; the covariance of the epochs is
    pooled over the configurations of its dataset and size. NaN where too few runs are long enough.
    """
    group, epochs = runs.of(configuration), np.array(list(points))
    if group is None or group.epochs < epochs.max():
        return float("nan")
    samples = [other.curve(curve)[:, epochs - 1] for other in alike(runs, group) if other.epochs >= epochs.max()]
    residuals = np.concatenate([sample - sample.mean(axis=0) for sample in samples])
    count, freedom = len(epochs), len(residuals) - len(samples)
    if freedom < count or np.linalg.matrix_rank(residuals.T @ residuals) < count:
        return float("nan")
    measured = group.curve(curve)[:, epochs - 1]
    off = np.array(list(points.values())) - measured.mean(axis=0)
    squared = off @ np.linalg.solve(residuals.T @ residuals / freedom, off) / (1 + 1 / len(measured))
    return float(stats.f.sf(squared * (freedom - count + 1) / (count * freedom), count, freedom - count + 1))
