"""Stage 2: data/raw.zip -> data/manifest.csv, metrics/audit.json."""

from pathlib import Path

from src.dataset import policies
from src.dataset.audit import audit
from src.files import MANIFEST, RAW, write_csv, write_json
from src.params import Params
from src.stages import run


def main(params: Params) -> None:
    table = policies.build(RAW, params.split)
    write_csv(MANIFEST, table)
    print(table.groupby(["split", "label"]).size().unstack("split", fill_value=0).to_string())
    found = audit(table)
    write_json(Path("metrics/audit.json"), {"dataset": params.dataset, "source": params.source, **found})
    for pair, leak in found["leaks"].items():
        print(f"{pair}: {leak['exact']} contents are in both, {leak['near']} groups more are nearly so")


if __name__ == "__main__":
    run(main)
