"""Drawn faces: what is drawn depends on the seed and the index alone."""

import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy._core import _multiarray_umath as numpy_cpu

from src import drawn, params
from src.core import raw
from src.download import rendered, selection
from src.drawn import photo
from src.drawn.expression import PROTOTYPES, UNITS, Expression, express
from src.drawn.features import Features
from src.drawn.light import Relief
from src.drawn.pencil import Pencil
from src.drawn.person import Pose, meet
from src.errors import UserError
from src.params import Dataset, Rendered

REPOSITORY = Path(__file__).parents[2]
DATASETS = params.load(REPOSITORY / "params.yaml").datasets


def settings(**changes: float) -> Rendered:
    return Rendered(**({"scale": 0.1, "test_share": 0.2, "label_noise": 0.1, "seed": 1} | changes))


def small(size: int = 48, **labels: int) -> Dataset:
    return Dataset(native_size=size, input_size=size, labels=labels or {"angry": 30, "happy": 30})


def bytes_of(dataset: Dataset, how: Rendered) -> list[bytes]:
    return [image.read() for image in rendered.images(dataset, how)]


def test_an_image_does_not_depend_on_which_were_read_before():
    forwards = bytes_of(small(), settings(scale=0.5))
    backwards = [image.read() for image in reversed(rendered.images(small(), settings(scale=0.5)))]
    assert forwards == backwards[::-1]


def test_an_image_is_the_same_each_time_it_is_read():
    image = rendered.images(small(), settings(scale=1.0))[7]
    assert image.read() == image.read()


HASHES = """
import hashlib, os
import cv2
cv2.setNumThreads(int(os.environ["THREADS"]))
from numpy._core import _multiarray_umath as cpu
from src.params import Dataset, Rendered
from src.download import rendered
print(cv2.getCPUFeaturesLine())
print(*(name for name in cpu.__cpu_dispatch__ if cpu.__cpu_features__[name]))
for size, count in ((48, 60), (416, 14)):
    dataset = Dataset(native_size=size, input_size=size, labels={"sad": count // 2, "fear": count - count // 2})
    for image in rendered.images(dataset, Rendered(scale=1.0, test_share=0.2, label_noise=0.1, seed=1)):
        print(image.member, hashlib.sha256(image.read()).hexdigest())
"""


def hashes(**environment: str) -> tuple[str, str, list[str]]:
    """OpenCV's and numpy's lists of CPU features, and a line per image, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", HASHES],
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    opencv, numpy, *lines = done.stdout.splitlines()
    return opencv, numpy, lines


def test_images_are_the_same_on_a_cpu_that_can_do_less_and_on_one_core():
    optional = [name.strip("*?") for name in cv2.getCPUFeaturesLine().split() if name.startswith("*")]
    usable = [name for name in numpy_cpu.__cpu_dispatch__ if numpy_cpu.__cpu_features__[name]]
    *_, expected = hashes(THREADS="4")
    opencv, numpy, lines = hashes(
        THREADS="1",
        OPENCV_CPU_DISABLE=",".join(optional),
        OPENCV_IPP="disabled",
        NPY_DISABLE_CPU_FEATURES=" ".join(usable),
        JSIMD_FORCENONE="1",  # libjpeg-turbo without vector instructions
    )
    assert all(name.endswith("?") for name in opencv.split() if name.startswith("*")), "not switched off"
    assert numpy == "", "not switched off"
    assert len(expected) == 74
    assert lines == expected


def test_another_seed_draws_other_images():
    one, two = (bytes_of(small(), settings(scale=0.5, seed=seed)) for seed in (1, 2))
    assert not set(one) & set(two)


def test_every_index_draws_another_image():
    images = bytes_of(small(), settings(scale=1.0))
    assert len(set(images)) == len(images) == 60


@pytest.mark.parametrize("size", [16, 48, 127])
def test_an_image_is_a_grey_jpeg_of_the_sets_size(size):
    data = rendered.images(small(size), settings(scale=1.0))[0].read()
    with PIL.Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "L", (size, size))
        assert np.asarray(image).std() > 10, "a face is not one plain tone"


@pytest.mark.parametrize(("name", "images"), [("ai", 3589), ("ai2", 1430)])
def test_counts_follow_the_sets_proportions_and_the_test_share(name, images):
    listed = rendered.images(DATASETS[name], settings())
    assert len(listed) == images
    assert sum(image.folder == "test" for image in listed) == round(0.2 * images)
    of_label = Counter(image.label for image in listed)
    in_test = Counter(image.label for image in listed if image.folder == "test")
    for label, full in DATASETS[name].labels.items():
        assert abs(of_label[label] - 0.1 * full) < 1
        assert abs(in_test[label] - 0.2 * of_label[label]) < 1


def test_the_full_scale_has_the_full_set():
    listed = rendered.images(DATASETS["ai"], settings(scale=1.0))
    assert Counter(image.label for image in listed) == DATASETS["ai"].labels


def test_no_two_images_have_one_name():
    listed = rendered.images(DATASETS["ai"], settings())
    assert len({image.member for image in listed}) == len(listed)


def test_the_half_set_is_half_of_what_is_drawn():
    half, whole = DATASETS["ai_half"], DATASETS["ai"]
    selected = selection.select(rendered.images(whole, settings()), half.images / whole.images)
    assert len(selected) == 1810
    of_label = Counter(image.label for image in selected)
    for label, full in half.labels.items():
        assert abs(of_label[label] - 0.1 * full) <= 2  # rounded in train and in test


def shown(image: raw.Image) -> str:
    """The label of what the image shows, from its name."""
    return image.name.removesuffix(".jpg").partition("_")[2]


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_label_noise_is_the_share_of_images_that_show_another_label(noise):
    listed = rendered.images(DATASETS["ai"], settings(scale=0.05, label_noise=noise))
    wrong = [image for image in listed if shown(image) != image.label]
    assert len(wrong) / len(listed) == pytest.approx(noise, abs=0.03)
    assert not wrong or {shown(image) for image in wrong} == set(DATASETS["ai"].labels)


def test_the_name_tells_the_truth():
    labels = {"sad": 20, "happy": 20}
    filed = rendered.images(small(16, **labels), settings(scale=1.0, label_noise=1.0))[:20]
    sad = rendered.images(small(16, **labels), settings(scale=1.0, label_noise=0.0))[:20]
    happy = rendered.images(small(16, happy=20, sad=20), settings(scale=1.0, label_noise=0.0))[:20]
    assert [image.member for image in filed[:2]] == ["train/sad/00000_happy.jpg", "train/sad/00001_happy.jpg"]
    for image, if_sad, if_happy in zip(filed, sad, happy, strict=True):
        assert image.read() == if_happy.read() != if_sad.read()


def test_the_name_spells_the_label_as_the_set_does():
    listed = rendered.images(small(16, Anger=5, Happiness=5), settings(scale=1.0, label_noise=1.0))
    assert {(image.label, shown(image)) for image in listed} == {("Anger", "Happiness"), ("Happiness", "Anger")}


def test_label_noise_leaves_the_counts_as_they_are():
    counts = [
        Counter((image.folder, image.label) for image in rendered.images(small(), settings(label_noise=noise, scale=1)))
        for noise in (0.0, 1.0)
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("size", "larger"), [(48, 96), (208, 416)])
def test_the_same_index_is_the_same_picture_at_another_size(size, larger):
    """What differs are noise and the finest hairs."""
    for index in range(4):
        large = cv2.resize(drawn.draw(index, "fear", larger, 1), (size, size), interpolation=cv2.INTER_AREA)
        small = [drawn.draw(other, "fear", size, 1) for other in range(4)]
        alike = [np.corrcoef(large.ravel(), other.ravel())[0, 1] for other in small]
        assert np.argmax(alike) == index
        assert alike[index] > 0.9


def test_a_portrait_shows_the_same_person_as_the_face_cut_out():
    for index in range(3):
        portrait = cv2.cvtColor(drawn.draw(index, "fear", 416, 1), cv2.COLOR_BGR2GRAY)
        face = cv2.resize(drawn.draw(index, "fear", 127, 1), (250, 250), interpolation=cv2.INTER_AREA)
        middle = face[50:190, 60:190]
        assert cv2.matchTemplate(portrait, middle, cv2.TM_CCOEFF_NORMED).max() > 0.8


def still(**units: float) -> Expression:
    """A resting face but for some units, by number: au12=1.0."""
    given = {int(name.removeprefix("au")): value for name, value in units.items()}
    return Expression(dict.fromkeys(UNITS, 0.0) | given)


def features(expression: Expression) -> Features:
    who, pose = meet(np.random.default_rng(0)), Pose(0.45, (0.5, 0.5), (1.0, 0.0), (1.0, 0.0), (1.0, 0.0))
    return Features(who, expression, Pencil(pose, 416), Pencil(pose, 416), 0.0)


@pytest.mark.parametrize("unit", UNITS)
def test_every_action_unit_shows_at_both_sizes(unit, monkeypatch):
    def seen(how: Expression, size: int) -> np.ndarray:
        monkeypatch.setattr(photo, "express", lambda emotion, rng: how)
        return drawn.draw(3, "neutral", size, 1).astype(int)

    for size, much in ((48, 12), (416, 40)):
        difference = np.abs(seen(still(**{f"au{unit}": 1.0}), size) - seen(still(), size))
        assert difference.max() > much


def test_units_move_the_face_as_the_manual_says():
    rest = features(still())
    x, y = rest.corner(1)
    assert features(still(au12=1)).corner(1)[1] < y < features(still(au15=1)).corner(1)[1]  # up, down
    assert features(still(au23=1)).corner(1)[0] < x < features(still(au20=1)).corner(1)[0]  # tight, stretched
    assert features(still(au26=1)).opening > rest.opening == 0
    assert features(still(au7=1)).lids(1) < rest.lids(1) < features(still(au5=1)).lids(1)  # eyes narrow, wide
    assert features(still(au9=1)).wing > rest.wing
    lopsided = features(Expression(dict.fromkeys(UNITS, 0.0) | {12: 1.0}, asymmetry=0.2))
    assert lopsided.corner(1)[1] < lopsided.corner(-1)[1]


def relief(*bumps: tuple[float, ...]) -> Relief:
    pencil = Pencil(Pose(0.45, (0.5, 0.5), (1.0, 0.0), (1.0, 0.0), (1.0, 0.0)), 400)
    ground = Relief(pencil, 400, width=0.75)
    for bump in [(0, 0, 0.1, 0.1, 0.0), *bumps]:
        ground.bump(*bump)
    return ground


def test_the_head_is_lit_by_lamberts_law():
    shade = relief().shade((0.8, 0.0), ambient=0.4, gloss=0.0)
    assert shade.shape == (100, 100)
    assert shade[49:51, 49:51].mean() == pytest.approx(1.0, abs=0.01)  # where the head faces the camera
    for column in (40, 60):  # 4 pixels to a cell, 180 to a unit; the head's height falls by 0.62 (x / 1.1 width)^2
        x = ((column + 0.5) * 4 - 200) / 180
        slope = -2 * 0.62 * x / (1.1 * 0.75) ** 2
        expected = 0.4 + 0.6 * (1 - 0.8 * slope) / np.sqrt(1 + slope**2)
        assert shade[49:51, column].mean() == pytest.approx(expected, abs=0.01)
    assert shade == pytest.approx(relief().shade((-0.8, 0.0), 0.4, 0.0)[:, ::-1])


def test_a_hill_is_bright_towards_the_light_and_shines_where_it_mirrors_it():
    level, hill = (relief(*bumps).shade((0.0, -0.8), 0.4, 0.0) for bumps in ((), [(0, 0, 0.2, 0.2, 0.1)]))
    assert (hill - level)[45, 50] > 0.1 > -0.1 > (hill - level)[55, 50]
    assert hill[:35] == pytest.approx(level[:35])
    shine = relief().shade((0.0, -0.8), 0.4, 0.3) - level
    assert shine.max() == pytest.approx(0.3, abs=0.01)
    assert shine.argmax() // 100 < 45


def test_an_expression_is_its_prototype_at_times_with_a_trace_of_another():
    blended, strengths = 0, []
    for index in range(300):
        how = express("happy", np.random.default_rng([7, index]))
        assert min(how[unit] for unit in PROTOTYPES["happy"]) > max(0.2, 0.2 * how[12])
        strengths.append(how[12])
        others = {name for name, units in PROTOTYPES.items() if units and min(how[unit] for unit in units) > 0.06}
        blended += bool(others - {"happy"})
    assert max(strengths) > 2 * min(strengths)
    assert 0.1 < blended / 300 < 0.4


def test_a_hand_covers_the_face_of_some(monkeypatch):
    """The same pictures with and without: in about one of eight a hand changes them."""
    with_hands = [drawn.draw(index, "sad", 16, 1) for index in range(80)]
    monkeypatch.setattr(photo, "HAND", 0.0)
    changed = sum((drawn.draw(index, "sad", 16, 1) != face).any() for index, face in enumerate(with_hands))
    assert 4 <= changed <= 18


def test_large_pictures_have_colour():
    data = rendered.images(small(128), settings(scale=1.0))[0].read()
    with PIL.Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (128, 128))


@pytest.mark.parametrize("spelling", [{"Anger": 10, "Happiness": 10}, {"ANGRY": 10, "Happy": 10}])
def test_a_face_does_not_depend_on_how_its_label_is_spelled(spelling):
    how = settings(scale=1.0)
    assert bytes_of(small(16, **spelling), how) == bytes_of(small(16, angry=10, happy=10), how)


@pytest.mark.parametrize(("scale", "label"), [(0.001, "disgust"), (0.0001, "angry")])
def test_a_scale_that_leaves_a_label_without_images_is_refused(scale, label):
    with pytest.raises(UserError, match=rf"rendered\.scale = {scale} .* leave {label} "):
        rendered.images(DATASETS["ai"], settings(scale=scale))


def test_a_label_that_cannot_be_drawn_is_named():
    with pytest.raises(UserError, match="cannot draw smug; it knows angry"):
        rendered.images(small(happy=10, smug=10), settings(scale=1.0))
