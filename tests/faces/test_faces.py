"""Detection and alignment, on the drawn portraits of docs/images/faces_416.png: 7 columns, 6 rows."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.faces.alignment import crop, straightener, turned
from src.faces.detection import Detector
from src.faces.face import LEFT_EYE, RIGHT_EYE, Face

SHEET = Path(__file__).parents[2] / "docs/images/faces_416.png"
EMPTY = np.full((100, 100), 128, np.uint8)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Four portraits, as large as they are on the sheet."""
    sheet = np.asarray(Image.open(SHEET).convert("L"))
    return [sheet[top : top + 200, left : left + 200] for left in (790, 1005) for top in (258, 474)]


def test_faces_are_found_in_the_order_of_the_images_whatever_their_shapes(detector, portraits):
    images = [portraits[0], EMPTY, portraits[1][:, 10:], EMPTY[:50], portraits[2]]
    found = detector.find(images)
    assert [len(faces) for faces in found] == [1, 0, 1, 0, 1]
    for image, faces in zip(images, found, strict=True):
        for face in faces:
            height, width = image.shape
            left, top, right, bottom = face.box
            assert -20 < left < face.left_eye[0] < face.right_eye[0] < right < width + 20
            assert -20 < top < face.left_eye[1] < bottom < height + 20


def test_several_faces_come_from_left_to_right(detector, portraits):
    (found,) = detector.find([np.hstack(portraits[:3])])
    assert len(found) == 3
    assert [face.box[0] // 200 for face in found] == [0, 1, 2]


def test_no_image_no_face(detector):
    assert detector.find([]) == []


@pytest.mark.parametrize("angle", [-60, -20, 20, 60])
def test_a_turned_face_is_found_and_straightened(detector, portraits, angle):
    """Also where MTCNN alone does not find it, as at 60 degrees."""
    upright = detector.find(portraits)
    images = [turned(portrait, angle) for portrait in portraits]
    found = detector.find(images)
    errors = [
        faces[0].roll - before[0].roll - angle for before, faces in zip(upright, found, strict=True) if before and faces
    ]
    assert len(errors) >= 3
    assert np.median(np.abs(errors)) < 10
    again = detector.find(
        [crop(image, faces[0], 96, level=True) for image, faces in zip(images, found, strict=True) if faces]
    )
    rolls = [faces[0].roll for faces in again if faces]
    assert len(rolls) >= 3
    assert np.median(np.abs(rolls)) < 8


@pytest.mark.parametrize("level", [True, False])
def test_the_eyes_come_where_the_canonical_face_has_them(level):
    """On a picture of nothing but two points."""
    image = np.zeros((300, 400), np.uint8)
    eyes = (150, 100), (250, 160) if level else (250, 100)
    for x, y in eyes:
        image[y - 4 : y + 5, x - 4 : x + 5] = 255
    face = Face((100, 50, 300, 250), *eyes, 1.0)
    cut = crop(image, face, 48, level)
    side = len(cut)
    assert side == round(
        np.hypot(100, eyes[1][1] - 100) / (RIGHT_EYE[0] - LEFT_EYE[0])
    )  # as many pixels as the photo has
    for x, y in (LEFT_EYE, RIGHT_EYE):
        rows, columns = np.nonzero(cut > 127)
        near = np.abs(columns - x * side) < 30
        assert rows[near].mean() + 0.5 == pytest.approx(y * side, abs=1)
        assert columns[near].mean() + 0.5 == pytest.approx(x * side, abs=1)


def test_a_face_that_is_not_to_be_turned_stays_turned():
    face = Face((0, 0, 100, 100), (30.0, 40.0), (60.0, 60.0), 1.0)
    image = np.random.default_rng(0).integers(0, 256, (100, 100), np.uint8)
    assert not np.array_equal(crop(image, face, 48, level=True), crop(image, face, 48, level=False))
    level = Face((0, 0, 100, 100), (30.0, 40.0), (60.0, 40.0), 1.0)
    np.testing.assert_array_equal(crop(image, level, 48, level=True), crop(image, level, 48, level=False))


def test_images_without_a_face_pass_unchanged_and_are_counted(portraits):
    straighten = straightener("eyes", 48)
    first, second, third = straighten([portraits[0], EMPTY, turned(portraits[0], 40)])
    assert first.shape[0] == first.shape[1] >= 48
    assert second is EMPTY
    small = [np.asarray(Image.fromarray(face).resize((48, 48), Image.Resampling.BOX)) for face in (first, third)]
    assert np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1] > 0.8  # the same face again
    metrics = straighten.metrics()
    assert (metrics["found"], metrics["share"]) == (2, 0.6667)
    assert sum(metrics["roll"].values()) == 2
    assert metrics["roll"]["30 to 45"] + metrics["roll"]["45 to 60"] == 1


def test_turning_by_a_right_angle_is_turning_the_array():
    image = np.random.default_rng(0).integers(0, 256, (31, 31), np.uint8)
    np.testing.assert_array_equal(turned(image, 90), np.rot90(image, -1))
    np.testing.assert_array_equal(turned(image, 0), image)
