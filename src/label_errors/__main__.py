"""Finds training images whose label is probably wrong: python -m src.label_errors [--folds N] [--epochs N]

Of the images in data/raw.zip and with params.yaml as it is, it writes label_errors/: issues.csv, ranking.csv,
metrics.json, plots/.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from src import command, params
from src.core import images, raw
from src.core.files import RAW, VOTES, replacing, write_csv, write_json
from src.errors import UserError
from src.label_errors import folds, ranking
from src.params import Params
from src.plot import faces
from src.split.policies import ISSUES

FOLDER = Path("label_errors")
SHOWN = 24  # on the contact sheet


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m src.label_errors", description=str(__doc__).splitlines()[0])
    parser.add_argument("--folds", type=int, default=5, help="each is judged by a network trained on the others; 5")
    parser.add_argument("--epochs", type=int, default=25, help="of each; a longer one learns wrong labels by heart; 25")
    arguments = parser.parse_args()
    if arguments.folds < 2 or arguments.epochs < 1:
        parser.error("it takes at least 2 folds and 1 epoch")
    chosen = params.load()
    if missing := [str(path) for path in (RAW, VOTES) if not path.is_file()]:  # now, not after an hour
        raise UserError(f"{missing[0]} is not there: dvc repro download")
    for name in ("align", "usable"):
        if getattr(chosen.preprocess, name) != "none":
            raise UserError(
                f"preprocess.{name}: labels are judged by faces as they are; set preprocess.{name} to none for this"
            )
    from src.core import runtime

    runtime.configure(chosen.portable, chosen.device)
    table = folds.divided(RAW, arguments.folds, chosen)
    said = folds.probabilities(table, chosen.model_copy(update={"epochs": arguments.epochs}))
    write(ranking.ranked(table, said, list(chosen.data.labels)), chosen)
    folds.forget(table, chosen)


def write(ranked: pd.DataFrame, params: Params) -> None:
    """The files of the folder, from a ranking as `ranking.ranked` gives it."""
    write_csv(FOLDER / "ranking.csv", ranked)
    write_csv(ISSUES, ranked[ranked["issue"]])
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
    print(f"{ISSUES}: {metrics['issues']} of {len(ranked)} labels are probably wrong")


def _contact_sheet(rows: pd.DataFrame, params: Params) -> Figure:
    size, interpolation = params.data.input_size, params.preprocess.interpolation
    with raw.opened(RAW) as opened:
        shown = [images.resize(images.decode(raw.read(opened, name)), size, interpolation) for name in rows["member"]]
    captions = [f"{row.label}\nrather {row.suggested}" for row in rows.itertuples()]
    title = f"The most suspicious labels: {params.dataset}, {params.source} faces"
    return faces.mistakes(np.stack(shown), captions, title)


if __name__ == "__main__":
    command.run(main)
