"""A photo in, an emotion out: python -m src.predict PHOTO…

Finds the faces in photos and prints, for each, the label and every label's probability, calibrated by the model's
temperature. The model brings its labels, input size, preprocessing and alignment along.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO

from src import command, progress
from src.errors import printable
from src.usable import USABLE

if TYPE_CHECKING:  # with the imports in the functions below, seconds, in which something shall be shown already
    from src.predict.figure import Sheet
    from src.predict.predictor import Predictor, Row

DRAWN, FACES = 12, 60  # photos in a figure, and faces of each


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(errors="backslashreplace")  # for a terminal that cannot show every name
    how = {"unit": "photo", "bar_format": "{desc}", "leave": False, "disable": None}
    with progress.bar(what="loading the model, then the photos …", **how) as bar:
        return _main(options, bar)


def _main(options: argparse.Namespace, bar: Any) -> int:
    from src.core.files import MODEL, check_writable, root
    from src.predict import photos
    from src.predict.predictor import Predictor

    usable = root() / USABLE if options.expel else None
    if options.figure:
        check_writable(options.figure)
    paths = photos.named(options.photos, sys.stdin and sys.stdin.buffer)
    for path in paths:
        if why := photos.problem(path):
            bar.write(printable(f"{path}: {why}"), file=sys.stderr)
    with TemporaryDirectory() if options.run else nullcontext() as folder:
        predictor = Predictor(_model_of(options.run, Path(folder)) if folder else root() / MODEL, usable)
        return _predict(predictor, paths, options, bar)


def _predict(predictor: "Predictor", paths: list[str], options: argparse.Namespace, bar: Any) -> int:
    from src.predict import photos

    sheet = _sheet() if options.figure else None
    unreadable = 0
    beside = sys.stdout.isatty()  # the bar, if there is one, and the rows take turns there

    def rows() -> Iterator["Row"]:
        nonlocal unreadable
        for number, (found, row) in enumerate(predictor.rows(map(photos.read, paths), options.cropped)):
            if number == 0:
                bar.bar_format, bar.desc = None, ""
                bar.reset(len(paths))
            bar.update(found.number in (None, 1))  # a photo's first face, or none
            unreadable += not found.readable
            if sheet:
                sheet.add(found, row)
            if beside:
                bar.clear()
            yield row
            if beside:
                bar.refresh()

    answers = rows()
    first = list(islice(answers, 1))  # what is wrong with the model shall stand alone, not below a header
    write = _json if options.json else _csv if options.csv else _table
    write(chain(first, answers), predictor.labels, sys.stdout)
    if sheet:
        sheet.save(options.figure)
        if left_out := sheet.left_out():
            bar.write(left_out, file=sys.stderr)
    if unreadable:
        bar.write(f"error: {unreadable} of {len(paths)} photos could not be read", file=sys.stderr)
    return 1 if unreadable else 0


def _sheet() -> "Sheet":
    from src.predict.figure import Sheet

    return Sheet(DRAWN, FACES)


def _model_of(run: str, folder: Path) -> Path:
    """The model of a DVC experiment, a git revision or an MLflow run, with its calibration, in `folder`."""
    from src import revisions
    from src.core.files import MODEL, root
    from src.predict.predictor import beside

    try:
        commit = revisions.resolve(root(), run)
    except revisions.UnknownRevision:
        from src import tracking

        return tracking.download_model(run, folder)
    (model,) = revisions.get(root(), commit, [MODEL], folder)
    revisions.get(root(), commit, [MODEL.with_name(path.name) for path in beside(model)], folder)
    return model


def _table(rows: Iterable["Row"], labels: tuple[str, ...], out: TextIO) -> None:
    widths = [max(6, len(label)) for label in labels]
    names = "  ".join(f"{label:>{width}}" for label, width in zip(labels, widths, strict=True))
    print(printable(f"{'photo':<40}  face  {'emotion':<10}  {names}"), file=out)
    for row in rows:
        start = f"{printable(row.photo):<40}  {row.face or '':>4}  "
        if row.error:
            print(f"{start}{printable(row.error)}", file=out)
            continue
        assert row.label is not None and row.probabilities is not None
        values = "  ".join(f"{v:>{w}.1%}" for v, w in zip(row.probabilities.values(), widths, strict=True))
        print(f"{start}{printable(row.label):<10}  {values}", file=out)


def _json(rows: Iterable["Row"], labels: tuple[str, ...], out: TextIO) -> None:
    separator = "[\n"
    for row in rows:
        print(separator + _visible(json.dumps(row._asdict(), ensure_ascii=False), out.encoding), end="", file=out)
        separator = ",\n"
    print("\n]" if separator == ",\n" else "[]", file=out)


def _visible(text: str, encoding: str) -> str:
    """JSON with what a terminal would obey or cannot show as JSON's own escapes, which read back as it was."""
    shown = (one.isprintable() and one.encode(encoding, "ignore") for one in text)
    return "".join(one if fine else json.dumps(one)[1:-1] for one, fine in zip(text, shown, strict=True))


def _csv(rows: Iterable["Row"], labels: tuple[str, ...], out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    edges = ("left", "top", "right", "bottom")
    names = map(printable, labels)
    writer.writerow(["photo", "face", *edges, "roll", "label", "probability", *names, "error"])
    for row in rows:
        box, values = row.box or [None] * 4, (row.probabilities or dict.fromkeys(labels)).values()
        line = [row.photo, row.face, *box, row.roll, row.label, row.probability, *values, row.error]
        writer.writerow([printable(cell) if isinstance(cell, str) else cell for cell in line])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m src.predict", description=__doc__)
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO", help="file, folder or glob; - for a list on standard input"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON array")
    form.add_argument("--csv", action="store_true", help="print CSV")
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="PNG",
        help=f"draw the first {DRAWN} photos that can be read, with the first {FACES} faces of each",
    )
    parser.add_argument("--cropped", action="store_true", help="the images are faces already; look for none")
    parser.add_argument("--expel", action="store_true", help="say which faces cannot be used, and no emotion of these")
    parser.add_argument(
        "--run", help="a DVC experiment, a git revision or an MLflow run, by id or name; models/ if not given"
    )
    return parser


if __name__ == "__main__":
    command.run(lambda: main(sys.argv[1:]))
