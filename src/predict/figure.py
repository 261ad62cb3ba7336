"""The figure of python -m src.predict: each photo once, its faces framed and named, and what the network saw of them.

It is laid out in pixels of the figure, y downwards.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path
from PIL import Image

from src.core.files import replacing
from src.errors import UserError, printable
from src.predict import photos
from src.predict.predictor import Row

DPI = 100
MARGIN = 16
WIDTH, HEIGHT = 1168, 860  # of a photo in the figure, at most
MAGNIFIED = 8  # times, at most
PIXELS = 2**22  # of a photo that are decoded for it
LINE = 26  # height of a line of text
FACE = 104  # a side of what the network saw
CELL = (FACE + 12, FACE + 2 * LINE)  # width and height of that, with what it says
SIZE, PADDING = 9.0, 3  # of letters, in points; between them and the edge of their tag
LONGEST = 300  # characters that are measured at all
COLOURS = ("#1b7f5f", "#c24e00", "#5f59a8", "#d01c7b", "#4d7d14", "#8a5f14")  # on which white is easily read
CROWDED = 0.3  # share of a tag with a label that may lie on other faces

warnings.filterwarnings("ignore", r"Glyph .* missing from font")  # each is an empty box, and that is enough

Box = tuple[float, float, float, float]  # left, top, right, bottom


class _Block(NamedTuple):
    """A photo, and what the network saw in it and said."""

    photo: str  # its path
    faces: list[tuple[Row, np.ndarray]]  # with (size, size) uint8 grey


class Sheet:
    """The photos of a figure, as they come; the first `most` that can be read, and the first faces of each."""

    def __init__(self, most: int, most_faces: int):
        self._most, self._most_faces = most, most_faces
        self._blocks: list[_Block] = []
        self._photos = self._faces = 0  # that came, and of those that are drawn

    def add(self, found: photos.Found, row: Row) -> None:
        """A face of the photo that came last, or the next photo."""
        if not found.readable:
            return
        if found.number in (None, 1):
            self._photos += 1
            if self._photos <= self._most:
                self._blocks.append(_Block(found.photo, []))
        if found.pixels is None or self._photos > self._most:
            return
        self._faces += 1
        if len(self._blocks[-1].faces) < self._most_faces:
            self._blocks[-1].faces.append((row, found.pixels))

    def left_out(self) -> str | None:
        """What of it does not show in the figure, if something does not."""
        shown = len(self._blocks)
        faces = self._faces - sum(len(block.faces) for block in self._blocks)
        parts = [f"{self._photos - shown} of {self._photos} photos"] if self._photos > shown else []
        parts += [f"{faces} of {self._faces} faces in those that it shows"] if faces else []
        limits = f"it shows {self._most} photos at most, and {self._most_faces} faces of each"
        return f"the figure leaves out {' and '.join(parts)}; {limits}" if parts else None

    def save(self, path: Path) -> None:
        """Draws it.

        Raises:
            UserError: a photo cannot be read any more, or the file not be written.
        """
        figure = _draw(self._blocks)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})


class _Picture(NamedTuple):
    pixels: np.ndarray  # (height, width, 3) uint8, as it is drawn
    factor: float  # as many of its pixels a side are one of the photo's


def _draw(blocks: list[_Block]) -> Figure:
    """The photos one below the other, each with its faces beside it or below."""
    pictures = [_picture(block.photo) for block in blocks]
    layouts = [_Layout(picture, len(block.faces)) for picture, block in zip(pictures, blocks, strict=True)]
    width, height = WIDTH + 2 * MARGIN, sum(layout.height for layout in layouts) or 4 * LINE
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    if not blocks:
        _write(axes, MARGIN, 2 * LINE, "no photo could be read")
    top = 0
    for block, picture, layout in zip(blocks, pictures, layouts, strict=True):
        _write(axes, MARGIN, top + LINE / 2, _shortened(printable(block.photo), WIDTH))
        _draw_photo(axes, MARGIN, top + LINE, picture, [row for row, _ in block.faces])
        _draw_faces(axes, top + LINE, layout, block)
        top += layout.height
    return figure


def _picture(path: str) -> _Picture:
    photo = photos.read(path, "RGB", PIXELS)
    if isinstance(photo, photos.Found):
        raise UserError(f"--figure: {photo.photo} was there before, but now: {photo.error}")
    height, width = photo.pixels.shape[:2]
    factor = min(WIDTH / width, HEIGHT / height, MAGNIFIED)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    resampled = Image.fromarray(photo.pixels).resize(size, Image.Resampling.BICUBIC)
    return _Picture(np.asarray(resampled), factor / photo.divisor)


class _Layout:
    """Where in a block, below the name of the photo, its faces go: beside the picture if there is room, or below."""

    def __init__(self, picture: _Picture, faces: int):
        height, width = picture.pixels.shape[:2]
        self.left, self.top = width + MARGIN, 0
        self.columns = (WIDTH - self.left) // CELL[0]
        tallest = max(height, LINE + CELL[1])
        if self.columns * ((tallest - LINE) // CELL[1]) < max(1, faces):
            self.left, self.top, self.columns = 0, height + MARGIN // 2, WIDTH // CELL[0]
        rows = math.ceil(faces / self.columns)
        self.height = LINE + max(height, self.top + LINE + rows * CELL[1]) + MARGIN


def _draw_photo(axes: Axes, x: float, y: float, picture: _Picture, rows: list[Row]) -> None:
    """With its upper left corner at (x, y)."""
    height, width = picture.pixels.shape[:2]
    _show(axes, picture.pixels, (x, y, x + width, y + height))
    framed = [(row, _on_picture(row.box, picture)) for row in rows if row.box]
    for row, (left, top, right, bottom) in framed:
        frame = Rectangle((x + left, y + top), right - left, bottom - top, fill=False, linewidth=2, color=_colour(row))
        frame.set_path_effects([withStroke(linewidth=3.5, foreground="white")])  # whatever colour the photo has there
        axes.add_patch(frame)
    tags = _tags([row for row, _ in framed], [box for _, box in framed], width, height)
    for (row, _), (text, (left, top, right, bottom)) in zip(framed, tags, strict=True):
        axes.add_patch(Rectangle((x + left, y + top), right - left, bottom - top, linewidth=0, color=_colour(row)))
        _write(axes, x + left + PADDING, y + (top + bottom) / 2, text, color="white")


def _on_picture(box: Box, picture: _Picture) -> Box:
    """What of the box lies on the picture, in its pixels."""
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = (edge * picture.factor for edge in box)
    return max(1, left), max(1, top), min(width - 1, right), min(height - 1, bottom)


def _draw_faces(axes: Axes, y: float, layout: _Layout, block: _Block) -> None:
    left, top = MARGIN + layout.left, y + layout.top
    _write(axes, left, top + LINE / 2, "what the network saw" if block.faces else "no face found", color="0.4")
    for number, (row, pixels) in enumerate(block.faces):
        down, right = divmod(number, layout.columns)
        x, bottom = left + right * CELL[0], top + LINE + down * CELL[1] + FACE
        _show(axes, pixels, (x, bottom - FACE, x + FACE, bottom))
        name = _shortened(f"{row.face} {row.label}", FACE)
        _write(axes, x, bottom + LINE * 0.5, name, color=_colour(row))
        _write(axes, x, bottom + LINE * 1.15, f"{row.probability:.0%}")


def _tags(rows: list[Row], boxes: list[Box], width: int, height: int) -> list[tuple[str, Box]]:
    """A text for each face and where on the picture it goes: its number, and its label if there is room.

    If labels leave no room for the number of another face, all have only their numbers.
    """
    numbers = [str(row.face) for row in rows]
    labels = [_shortened(f"{row.face} {row.label}", 2 * CELL[0]) for row in rows]
    tags = _placed([*zip(labels, numbers, strict=True)], boxes, width, height)
    places = [place for _, place in tags]
    if any(_shared(place, places[:number]) for number, place in enumerate(places)):
        return _placed([*zip(numbers, strict=True)], boxes, width, height)
    return tags


def _placed(texts: Sequence[tuple[str, ...]], boxes: list[Box], width: int, height: int) -> list[tuple[str, Box]]:
    """For each face the first of its texts for which there is room, or the last."""
    placed: list[tuple[str, Box]] = []
    for choice, box in zip(texts, boxes, strict=True):
        taken = [place for _, place in placed]
        others = [other for other in boxes if other is not box]
        tags = [
            (text, min(_places(text, box, width, height), key=lambda at: (_shared(at, taken), _shared(at, boxes))))
            for text in choice
        ]
        roomy = (
            (text, at) for text, at in tags if not _shared(at, taken) and _shared(at, others) <= CROWDED * _area(at)
        )
        placed.append(next(roomy, tags[-1]))
    return placed


def _places(text: str, box: Box, width: int, height: int) -> Iterator[Box]:
    """Where a face's tag may be: around it or, if there is no room at all, on it."""
    across, down = _width(text) + 2 * PADDING, SIZE * DPI / 72 + 2 * PADDING
    left, top, right, bottom = box
    for x, y in (
        *((left, top - down), (left, bottom), (right - across, top - down), (right - across, bottom)),
        *((right, top), (left - across, top), (right, bottom - down), (left - across, bottom - down)),
        *((left, top), (left, bottom - down)),
    ):
        x, y = max(0, min(x, width - across)), max(0, min(y, height - down))
        yield x, y, x + across, y + down


def _shared(place: Box, others: list[Box]) -> float:
    """The area of it that others cover."""
    return sum(
        max(0, min(place[2], right) - max(place[0], left)) * max(0, min(place[3], bottom) - max(place[1], top))
        for left, top, right, bottom in others
    )


def _area(place: Box) -> float:
    return (place[2] - place[0]) * (place[3] - place[1])


def _shortened(text: str, width: float) -> str:
    """Its beginning and its end, no wider than that together."""
    kept = min(len(text), LONGEST)
    while (measured := _width(shown := _cut(text, kept))) > width and kept > 1:
        kept = max(1, min(kept - 1, int(kept * width / measured)))
    return shown


def _cut(text: str, kept: int) -> str:
    return text if kept == len(text) else f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"


def _width(text: str) -> float:
    """Of the text in pixels; letters on a screen are set on whole ones, and so a little wider than the font says."""
    return 1.04 * text_to_path.get_text_width_height_descent(text, FontProperties(size=SIZE), False)[0] * DPI / 72


def _colour(row: Row) -> str:
    assert row.face is not None
    return COLOURS[(row.face - 1) % len(COLOURS)]


def _show(axes: Axes, pixels: np.ndarray, place: Box) -> None:
    left, top, right, bottom = place
    how = {"cmap": "gray", "vmin": 0, "vmax": 255} if pixels.ndim == 2 else {}
    axes.imshow(pixels, extent=(left, right, bottom, top), aspect="auto", interpolation="nearest", **how)


def _write(axes: Axes, x: float, y: float, text: str, color: str = "black") -> None:
    axes.text(x, y, text, fontsize=SIZE, va="center", color=color, parse_math=False)  # a dollar is a dollar
