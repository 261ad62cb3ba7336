"""Stage 3: archive and manifest -> data/arrays/ and metrics/preprocess.json."""

from pathlib import Path

from src.dataset import arrays, manifest
from src.files import ARRAYS, MANIFEST, RAW, digest, write_json
from src.params import Params
from src.stages import run


def main(params: Params) -> None:
    table = manifest.read(MANIFEST)
    size, how = params.data.input_size, params.preprocess
    straighten = None
    if how.align == "eyes":
        from src.training import runtime

        runtime.configure(portable=True)  # whatever the params say that train and evaluate follow
        from src.faces.alignment import Straightener

        straighten = Straightener(size)
    skipped = arrays.write(ARRAYS, RAW, table, params.data.labels, size, how, straighten)
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
    run(main)
