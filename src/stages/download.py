"""Stage 1: the source's images -> data/raw/<dataset>.zip."""

from pathlib import Path

from src.params import Params
from src.sources import archive, local, rendered
from src.stages import run


def main(params: Params) -> None:
    # The second set is a selection from the first, whatever the source.
    whole = params.datasets["ai"] if params.dataset == "ai_half" else params.data
    if params.source == "rendered":
        images = rendered.images(whole, params.rendered)
    else:
        images = local.images(params.local_path, params.local_sha256, whole.labels)
    if params.dataset == "ai_half":
        images = archive.select(images, params.data.images / whole.images)
    archive.write(Path("data/raw") / f"{params.dataset}.zip", images)


if __name__ == "__main__":
    run(main)
