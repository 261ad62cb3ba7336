"""A stage of its own: archive -> label_errors/: issues.csv, ranking.csv, metrics.json, plots/."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from src import command
from src.core import images, raw
from src.core.files import RAW, VOTES, replacing, write_csv, write_json
from src.label_errors import folds, ranking
from src.params import Params
from src.plot import faces

FOLDER = Path("label_errors")
SHOWN = 24  # on the contact sheet


def main(params: Params) -> None:
    from src.core import runtime

    runtime.configure(params.portable, params.device)
    table = folds.divided(RAW, params)
    ranked = ranking.ranked(table, folds.probabilities(table, params), list(params.data.labels))
    write_csv(FOLDER / "ranking.csv", ranked)
    write_csv(FOLDER / "issues.csv", ranked[ranked["issue"]])
    with replacing(FOLDER / "plots") as plots:
        plots.mkdir()
        _contact_sheet(ranked[:SHOWN], params).savefig(plots / "first.png", dpi=100, metadata={"Software": None})
    agreement = ranking.agreement(ranked, pd.read_csv(VOTES))
    metrics = {
        "dataset": params.dataset,
        "source": params.source,
        "images": len(ranked),
        "issues": int(ranked["issue"].sum()),
        **({"votes": agreement} if agreement else {}),
    }
    write_json(FOLDER / "metrics.json", metrics)
    folds.forget(params.label_errors.folds)


def _contact_sheet(rows: pd.DataFrame, params: Params) -> Figure:
    size, interpolation = params.data.input_size, params.preprocess.interpolation
    with raw.opened(RAW) as opened:
        shown = [images.resize(images.decode(raw.read(opened, name)), size, interpolation) for name in rows["member"]]
    captions = [f"{row.label}\nrather {row.suggested}" for row in rows.itertuples()]
    title = f"The most suspicious labels: {params.dataset}, {params.source} faces"
    return faces.mistakes(np.stack(shown), captions, title)


if __name__ == "__main__":
    command.stage("label_errors", main)
