"""Stage 2: data/raw.zip -> data/manifest.csv, metrics/audit.json."""

from pathlib import Path

import pandas as pd

from src import command
from src.core.files import MANIFEST, RAW, VOTES, write_csv, write_json
from src.params import Params
from src.split import policies, votes
from src.split.audit import audit


def main(params: Params) -> None:
    table = policies.build(RAW, params.split)
    if params.split.votes != "none":
        table = votes.relabelled(table, pd.read_csv(VOTES), params.split.votes)
    write_csv(MANIFEST, table)
    print(table.groupby(["split", "label"]).size().unstack("split", fill_value=0).to_string())
    found = audit(table)
    write_json(Path("metrics/audit.json"), {"dataset": params.dataset, "source": params.source, **found})
    for pair, leak in found["leaks"].items():
        print(f"{pair}: {leak['exact']} contents are in both, {leak['near']} groups more are nearly so")


if __name__ == "__main__":
    command.stage("split", main)
