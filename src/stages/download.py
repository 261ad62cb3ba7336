"""Stage 1: the source's images -> data/raw.zip."""

from src.files import RAW
from src.params import Params
from src.sources import archive, kaggle, local, rendered
from src.stages import run


def main(params: Params) -> None:
    whole = params.datasets[params.whole]
    if params.source == "rendered":
        images = rendered.images(whole, params.rendered)
    elif params.source == "kaggle":
        handle = getattr(params.kaggle, params.whole)
        images = kaggle.images(f"kaggle.{params.whole}", handle, whole.labels, params.layout, params.limits)
    else:
        images = local.images(params.local_path, params.local_sha256, whole.labels, params.layout, params.limits)
    if params.dataset == "ai_half":
        images = archive.select(images, params.data.images / whole.images)
    archive.write(RAW, images)


if __name__ == "__main__":
    run(main)
