"""Stage 3: archive and manifest -> data/arrays/ and metrics/preprocess.json."""

from pathlib import Path

import numpy as np

from src import command
from src.core import manifest
from src.core.files import ARRAYS, MANIFEST, RAW, digest, write_json
from src.params import Params
from src.preprocess import decode


def main(params: Params) -> None:
    table = manifest.read(MANIFEST)
    straighten = expel = None
    if params.preprocess.align != "none" or params.preprocess.usable == "network":
        from src.core import runtime

        runtime.configure(portable=True)  # whatever the params say that train and evaluate follow
    if params.preprocess.align != "none":
        from src.faces.alignment import straightener

        straighten = straightener(params.preprocess.align, params.data.input_size)
    if params.preprocess.usable == "network":
        from src.usable.network import Filter

        expel = Filter()

    def prepare(faces: list[np.ndarray], split: str) -> list[np.ndarray | None]:
        straight = straighten(faces) if straighten else faces
        return expel(straight) if expel and split == "train" else [*straight]

    skipped = decode.write(ARRAYS, RAW, table, params, prepare if straighten or expel else None)
    metrics = {
        "dataset": params.dataset,
        "source": params.source,
        "images": len(table) - skipped - (expel.expelled if expel else 0),
        "skipped": skipped,
        "data_sha256": digest(RAW),
        **({"faces": straighten.metrics()} if straighten else {}),
        **({"unusable": expel.metrics()} if expel else {}),
    }
    write_json(Path("metrics/preprocess.json"), metrics)


if __name__ == "__main__":
    command.stage("preprocess", main)
