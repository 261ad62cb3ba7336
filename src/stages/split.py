"""Stage 2: data/raw/<dataset>.zip -> data/manifest/<dataset>.csv."""

from pathlib import Path

from src.dataset import manifest
from src.files import write_csv
from src.params import Params
from src.stages import run


def main(params: Params) -> None:
    table = manifest.build(Path("data/raw") / f"{params.dataset}.zip", params.split)
    write_csv(Path("data/manifest") / f"{params.dataset}.csv", table)
    print(table.groupby(["split", "label"]).size().unstack("split").to_string())


if __name__ == "__main__":
    run(main)
