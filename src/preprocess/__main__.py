"""Stage 3: archive and manifest -> data/arrays/ and metrics/preprocess.json."""

from pathlib import Path

from src import command
from src.core import manifest
from src.core.files import ARRAYS, MANIFEST, RAW, digest, write_json
from src.params import Params
from src.preprocess import decode


def main(params: Params) -> None:
    table = manifest.read(MANIFEST)
    straighten = None
    if params.preprocess.align == "eyes":
        from src.core import runtime

        runtime.configure(portable=True)  # whatever the params say that train and evaluate follow
        from src.faces.alignment import Straightener

        straighten = Straightener(params.data.input_size)
    skipped = decode.write(ARRAYS, RAW, table, params, straighten)
    metrics = {
        "dataset": params.dataset,
        "source": params.source,
        "images": len(table) - skipped,
        "skipped": skipped,
        "data_sha256": digest(RAW),
        **({"faces": straighten.metrics()} if straighten else {}),
    }
    write_json(Path("metrics/preprocess.json"), metrics)


if __name__ == "__main__":
    command.stage("preprocess", main)
