"""A photo in, an emotion out: python -m src.predict PHOTO…

Finds the faces in photos and prints, for each, the label and every label's probability, calibrated by the model's
temperature. The model brings its labels, input size, preprocessing and alignment along.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, TextIO

import numpy as np
from tqdm import tqdm

from src import command, params, revisions
from src.errors import UserError
from src.files import MODEL, replacing, root
from src.model import calibration

if TYPE_CHECKING:  # imports TensorFlow, which is set up first
    from src.faces.photos import Found

DRAWN = 12  # faces in a figure


class Row(NamedTuple):
    """One face of a photo, or a photo of which there is nothing to say but `error`."""

    photo: str
    face: int | None
    box: tuple[int, int, int, int] | None
    roll: float | None
    label: str | None
    probability: float | None
    probabilities: dict[str, float] | None
    error: str | None


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    chosen = params.load(root() / "params.yaml")
    with TemporaryDirectory() as folder:
        path = _model_of(options.run, Path(folder)) if options.run else root() / MODEL
        predictor = Predictor(path, chosen.limits.image_pixels)
    from src.faces.photos import named

    paths = named(options.photos, sys.stdin)
    drawn: list[tuple[Row, np.ndarray]] = []
    unreadable = 0

    def rows() -> Iterator[Row]:
        nonlocal unreadable
        for found, row in predictor.rows(paths, options.cropped):
            unreadable += not found.readable
            if found.pixels is not None and len(drawn) < DRAWN:
                drawn.append((row, found.pixels))
            yield row

    write = _json if options.json else _csv if options.csv else _table
    write(rows(), predictor.labels, sys.stdout)
    if options.figure:
        _figure(drawn, options.figure)
    if unreadable:
        print(f"error: {unreadable} of {len(paths)} photos could not be read", file=sys.stderr)
    return 1 if unreadable else 0


class Predictor:
    """A trained model, with all that it takes to show it photos.

    Args:
        path: of model.h5, with calibration.json beside it.
        limit: pixels of a photo.

    Raises:
        UserError: one of the two files is not what the stages wrote, or they do not belong together.
    """

    def __init__(self, path: Path, limit: int):
        self._temperature = calibration.load(path)
        from src.training import runtime

        runtime.configure(portable=True)
        from src.model import saved

        self._model, self._known = saved.load(path)
        self._limit = limit

    @property
    def labels(self) -> tuple[str, ...]:
        return self._known.labels

    @property
    def parameters(self) -> int:
        return self._model.count_params()

    def rows(self, paths: list[str], cropped: bool) -> "Iterator[tuple[Found, Row]]":
        """What is found in the photos, in their order, and what the network says to it."""
        from src.faces import photos
        from src.faces.alignment import Straightener
        from src.faces.detection import Detector

        if cropped:
            straighten = Straightener(self._known.input_size) if self._known.align == "eyes" else None
            batches = photos.cropped(paths, self._known, self._limit, straighten)
        else:
            batches = photos.detected(paths, self._known, self._limit, Detector())
        with tqdm(total=len(paths), unit="photo", disable=None) as progress:
            for batch in ahead(batches):
                faces = [found.pixels for found in batch if found.pixels is not None]
                answers = iter(self._probabilities(np.stack(faces)) if faces else ())
                for found in batch:
                    yield found, _row(found, self.labels, None if found.pixels is None else next(answers))
                progress.update(len({found.photo for found in batch}))

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        scored = self._model.predict_on_batch(images[..., None].astype(np.float32) / 255)
        return calibration.tempered(scored, self._temperature)


def _model_of(run: str, folder: Path) -> Path:
    """The model of a DVC experiment, a git revision or an MLflow run, with its calibration, in `folder`."""
    try:
        commit = revisions.resolve(root(), run)
    except UserError:
        from src import tracking

        return tracking.download_model(run, folder)
    return revisions.get(root(), commit, (MODEL, MODEL.with_name(calibration.NAME)), folder)[0]


def _row(found: "Found", labels: tuple[str, ...], answer: np.ndarray | None) -> Row:
    place = (found.photo, found.number, found.box, None if found.roll is None else round(found.roll, 1))
    if answer is None:
        return Row(*place, None, None, None, found.error)
    values = dict(zip(labels, (round(float(value), 4) for value in answer), strict=True))
    best = labels[int(answer.argmax())]
    return Row(*place, best, values[best], values, None)


def ahead(batches: Iterable[list]) -> Iterator[list]:
    """The same batches; the next one is made on another thread meanwhile."""
    iterator = iter(batches)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, iterator, None)
        while (batch := following.result()) is not None:
            following = pool.submit(next, iterator, None)
            yield batch


def _table(rows: Iterable[Row], labels: tuple[str, ...], out: TextIO) -> None:
    widths = [max(6, len(label)) for label in labels]
    names = "  ".join(f"{label:>{width}}" for label, width in zip(labels, widths, strict=True))
    print(f"{'photo':<40}  face  {'emotion':<10}  {names}", file=out)
    for row in rows:
        start = f"{row.photo:<40}  {row.face or '':>4}  "
        if row.error:
            print(f"{start}{row.error}", file=out)
            continue
        values = "  ".join(f"{v:>{w}.1%}" for v, w in zip(row.probabilities.values(), widths, strict=True))
        print(f"{start}{row.label:<10}  {values}", file=out)


def _json(rows: Iterable[Row], labels: tuple[str, ...], out: TextIO) -> None:
    separator = "[\n"
    for row in rows:
        print(separator + json.dumps(row._asdict(), ensure_ascii=False), end="", file=out)
        separator = ",\n"
    print("\n]" if separator == ",\n" else "[]", file=out)


def _csv(rows: Iterable[Row], labels: tuple[str, ...], out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    edges = ("left", "top", "right", "bottom")
    writer.writerow(["photo", "face", *edges, "roll", "label", "probability", *labels, "error"])
    for row in rows:
        box, values = row.box or [None] * 4, (row.probabilities or dict.fromkeys(labels)).values()
        writer.writerow([row.photo, row.face, *box, row.roll, row.label, row.probability, *values, row.error])


def _figure(drawn: list[tuple[Row, np.ndarray]], path: Path) -> None:
    from PIL import Image, ImageOps

    from src.figures import faces

    pictures = []
    for row, _ in drawn:
        with Image.open(row.photo) as photo:
            pictures.append(np.asarray(ImageOps.exif_transpose(photo).convert("RGB")))
    boxes, probabilities = [row.box for row, _ in drawn], [row.probabilities for row, _ in drawn]
    figure = faces.predictions(pictures, boxes, [pixels for _, pixels in drawn], probabilities)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m src.predict", description=__doc__)
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO", help="file, folder or glob; - for a list on standard input"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON array")
    form.add_argument("--csv", action="store_true", help="print CSV")
    parser.add_argument("--figure", type=Path, metavar="PNG", help=f"draw the first {DRAWN} faces")
    parser.add_argument("--cropped", action="store_true", help="the images are faces already; look for none")
    parser.add_argument(
        "--run", help="a DVC experiment, a git revision or an MLflow run, by id or name; models/ if not given"
    )
    return parser


if __name__ == "__main__":
    command.run(lambda: main(sys.argv[1:]))
