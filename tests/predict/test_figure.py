"""The figure of any photos: what is in it, and that it can be read."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from src.predict import figure
from src.predict.photos import Found
from src.predict.predictor import Row

# No other warning but the one that the module ignores; pytest sets aside that it does.
pytestmark = [pytest.mark.filterwarnings("error::UserWarning"), pytest.mark.filterwarnings("ignore:Glyph")]
LONG = "what somebody calls a label who has never had to read it in a picture of many people"
Box = tuple[int, int, int, int]


def grid(columns: int, rows: int, size: int, gap: int) -> list[Box]:
    step = size + gap
    return [
        (10 + x * step, 10 + y * step, 10 + x * step + size, 10 + y * step + size)
        for x in range(columns)
        for y in range(rows)
    ]


# By what they are: width and height of the photo, the boxes of its faces, their label.
PHOTOS = {
    "one face": ((640, 480), [(200, 100, 330, 260)], "happy"),
    "a face as large as the photo": ((300, 300), [(-20, -30, 310, 320)], "surprise"),
    "30 faces": ((1600, 1200), grid(6, 5, 120, 60), "surprise"),
    "30 faces, cheek by cheek": ((900, 700), grid(6, 5, 90, 2), "surprise"),
    "60 faces, very small": ((4000, 900), grid(20, 3, 60, 30), "surprise"),
    "faces that overlap": ((640, 480), [(100, 100, 200, 220), (150, 110, 250, 230), (190, 90, 300, 210)], "disgust"),
    "a portrait": ((600, 1800), grid(3, 6, 120, 30), "sad"),
    "long labels": ((900, 600), grid(6, 4, 80, 40), LONG),
    "labels with dollars": ((640, 480), grid(2, 2, 100, 60), "$x_1$"),
    "labels that the font lacks": ((640, 480), grid(2, 2, 100, 60), "悲しみ"),
    "48 pixels": ((48, 48), [(8, 8, 40, 40)], "fear"),
    "one pixel": ((1, 1), [], ""),
    "no face": ((640, 480), [], ""),
    "very thin": ((1, 5000), [(0, 10, 1, 30)], "sad"),
    "very wide": ((5000, 1), [(0, 0, 30, 1)], "sad"),
}


def sheet_of(path: Path, size: tuple[int, int], boxes: list[Box], label: str) -> figure.Sheet:
    Image.new("RGB", size, (90, 120, 150)).save(path)
    sheet = figure.Sheet(12, 60)
    if not boxes:
        error = "no face found"
        sheet.add(Found(str(path), error=error), Row(str(path), None, None, None, None, None, None, error))
    for number, box in enumerate(boxes, 1):
        seen = np.full((48, 48), number, np.uint8)
        row = Row(str(path), number, box, 0.0, label, 0.5, {label: 0.5}, None)
        sheet.add(Found(str(path), number, box, 0.0, seen), row)
    return sheet


def tags(drawn: Figure) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Text and place of what is written on the photo: in white, on a ground of its own."""
    axes = drawn.axes[0]
    texts = [text.get_text() for text in axes.texts if to_rgb(text.get_color()) == (1, 1, 1)]
    grounds = [patch for patch in axes.patches if patch.get_fill()]
    assert len(texts) == len(grounds)
    return [(text, (*g.get_xy(), g.get_width(), g.get_height())) for text, g in zip(texts, grounds, strict=True)]


@pytest.mark.parametrize("name", PHOTOS)
def test_every_face_has_its_number_on_the_photo_and_below_or_beside_it_and_nothing_covers_that(name, tmp_path):
    size, boxes, label = PHOTOS[name]
    sheet = sheet_of(tmp_path / "photo.png", size, boxes, label)
    drawn = figure._draw(sheet._blocks)
    axes = drawn.axes[0]
    on_photo = tags(drawn)
    assert [int(text.split()[0]) for text, _ in on_photo] == list(range(1, len(boxes) + 1))
    for (_, (x1, y1, w1, h1)), (_, (x2, y2, w2, h2)) in combinations(on_photo, 2):
        assert x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1
    strip = [text.get_text() for text in axes.texts if text.get_text()[:1].isdigit()][len(boxes) :]
    names, said = strip[::2], strip[1::2]
    assert [int(text.split()[0]) for text in names] == list(range(1, len(boxes) + 1))
    assert set(said) <= {"50%"}
    assert len(axes.images) == 1 + len(boxes)  # the photo once
    width, height = drawn.get_size_inches() * drawn.dpi
    sheet.save(tmp_path / "figure.png")
    renderer = FigureCanvasAgg(drawn).get_renderer()
    for text in axes.texts:
        place = text.get_window_extent(renderer)
        assert min(place.x0, place.y0, width - place.x1, height - place.y1) > -1, text
    assert Image.open(tmp_path / "figure.png").size == pytest.approx((width, height), abs=1)


@pytest.mark.parametrize("name", ["one face", "a face as large as the photo", "30 faces", "a portrait", "48 pixels"])
def test_a_face_with_room_around_it_has_its_label_on_the_photo(name, tmp_path):
    size, boxes, label = PHOTOS[name]
    drawn = figure._draw(sheet_of(tmp_path / "photo.png", size, boxes, label)._blocks)
    assert [text for text, _ in tags(drawn)] == [f"{number} {label}" for number in range(1, len(boxes) + 1)]


@pytest.mark.parametrize("name", ["n" * 250, "$x_1$", "a\nb", "写真", "\udcff", "\x1b[2J", " "])
def test_the_name_of_a_photo_is_one_line_no_wider_than_the_figure(name, tmp_path):
    sheet = sheet_of(tmp_path / f"{name}.png", (300, 200), [(50, 50, 120, 140)], "happy")
    sheet.save(tmp_path / "figure.png")
    drawn = figure._draw(sheet._blocks)
    drawn.savefig(tmp_path / "again.png")
    title = drawn.axes[0].texts[0]
    assert title.get_text().endswith(".png") and "\n" not in title.get_text()
    assert title.get_window_extent(FigureCanvasAgg(drawn).get_renderer()).x1 < 1200


def test_a_figure_of_no_photo_at_all_says_so(tmp_path):
    figure.Sheet(12, 60).save(tmp_path / "figure.png")
    assert Image.open(tmp_path / "figure.png").size[0] == 1200
