"""What the last `dvc repro` came to, and what to do next: python -m src.summary"""

import json
from pathlib import Path

from src import command, params
from src.errors import UserError
from src.tracking import pages

NEXT = f"""\
  dvc exp run -S conv_layers=2                     the same with two layers; dvc exp show lists both
  python -m src.predict --figure faces.png PHOTO   the faces in a photo, and what the network says to them
  mlflow ui                                        every run, at {pages.ADDRESS}"""


def main() -> None:
    """Prints it."""
    chosen = params.load()
    try:
        scores = json.loads(Path("metrics/eval.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError("metrics/eval.json is not there yet; make it: dvc repro") from error
    print(
        f"\n{scores['accuracy']:.1%} of {scores['images']:,} {scores['split']} images are recognised after "
        f"{chosen.epochs} epochs on {chosen.dataset} ({chosen.source} faces); the most frequent label alone would be "
        f"{scores['majority_baseline']:.1%}.\nCurves, confusion matrix, heat maps and mistakes: plots/. Next:\n{NEXT}"
    )


if __name__ == "__main__":
    command.run(main)
