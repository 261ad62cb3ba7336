"""Makes a run's model the champion, if it is better than the present one: python -m src.champion [RUN]

The champion is what `mlflow models serve -m models:/face-emotions@champion` serves. The more accurate one is better, on
the same test images; the present one keeps a tie. Prints in a line which it is now, and why.
"""

import argparse
import sys

from src import command, tracking
from src.core.files import MODEL, root


def main(arguments: list[str]) -> None:
    """Compares, and prints the outcome."""
    parser = argparse.ArgumentParser(prog="python -m src.champion", description=__doc__)
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="an MLflow run, by id or name; by default that of models/"
    )
    print(tracking.challenge(parser.parse_args(arguments).run, root() / MODEL))


if __name__ == "__main__":
    command.run(lambda: main(sys.argv[1:]))
