"""What the report publishes, beside what was measured."""

from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from src.report.selection import SET_1, SET_1_LONG, SET_2, SET_3, SET_3_SHORT, TRAINING, VALIDATION, mean_accuracy
from src.report.statistics import NOT_RUN, prediction_interval

_CONTENT = YAML(typ="safe", pure=True).load(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))
RUNS: dict[str, dict[int, list[float]]] = _CONTENT["runs"]  # name -> epoch -> [training, validation accuracy]
CLAIMS: dict[str, str] = _CONTENT["claims"]  # C1 and so on -> what it says


def measured(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The finished runs, indexed by seed, that answer to each of RUNS; some have none."""
    third = SET_3 if len(SET_3.runs(rows)) else SET_3_SHORT  # where the grids end it
    configurations = {"curve": SET_1_LONG, "set 1": SET_1, "set 2": SET_2, "set 3": third}
    return {name: configuration.runs(rows) for name, configuration in configurations.items()}


def comparison(rows: pd.DataFrame) -> pd.DataFrame:
    """A line of text per published accuracy; `published inside` is yes, no or cannot be said."""
    return pd.DataFrame(
        {"run": name, "epoch": epoch, "of": of, "published": f"{accuracy:.4f}"}
        | _compared(accuracy, runs, curve, epoch)
        for name, runs in measured(rows).items()
        for epoch, accuracies in RUNS[name].items()
        for of, curve, accuracy in zip(("training", "validation"), (TRAINING, VALIDATION), accuracies, strict=True)
    )


def _compared(accuracy: float, runs: pd.DataFrame, curve: str, epoch: int) -> dict[str, object]:
    one_more, last_ten = prediction_interval(mean_accuracy(runs, curve, epoch, 1)), mean_accuracy(runs, curve, epoch)
    too_short = f"runs end at epoch {runs['epochs'].max()}" if len(runs) else NOT_RUN
    inside = "yes" if one_more.low <= accuracy <= one_more.high else "no"
    return {
        "measured at that epoch": f"{one_more.mean:.4f}" if one_more.n else too_short,
        "last ten epochs": f"{last_ten.mean():.4f}" if one_more.n else "",
        "one more run": f"{one_more.low:.4f} to {one_more.high:.4f}" if one_more.n > 1 else "",
        "seeds": one_more.n,
        "published inside": inside if one_more.n > 1 else "cannot be said",
    }
