"""Stage 1: the source's images -> data/raw.zip, data/votes.csv."""

from src import command
from src.core import raw
from src.core.files import RAW, VOTES, write_csv
from src.download import kaggle, local, rendered, selection, votes
from src.params import Params


def main(params: Params) -> None:
    whole = params.datasets[params.whole]
    if params.source == "rendered":
        images = rendered.images(whole, params.rendered)
    elif params.source == "kaggle":
        handle = params.kaggle[params.whole]
        assert handle  # or the params were refused
        images = kaggle.images(f"kaggle.{params.whole}", handle, whole.labels, params.layout, params.limits)
    else:
        assert params.local_path is not None  # as params.py checks
        images = local.images(params.local_path, params.local_sha256, whole.labels, params.layout, params.limits)
    if params.data.part_of:
        images = selection.select(images, params.data.images / whole.images)
    raw.write(RAW, images)
    write_csv(VOTES, votes.table(RAW, params.data.labels, params.source == "rendered", params.votes_path))


if __name__ == "__main__":
    command.stage("download", main)
