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

from src import params
from src.errors import UserError
from src.params import Dataset, Rendered
from src.sources import archive, rendered

REPOSITORY = Path(__file__).parents[2]
DATASETS = params.load(REPOSITORY / "params.yaml").datasets


def settings(**changes: float) -> Rendered:
    return Rendered(**({"scale": 0.1, "test_share": 0.2, "label_noise": 0.1, "seed": 1} | changes))


def small(size: int = 48, **labels: int) -> Dataset:
    return Dataset(native_size=size, input_size=size, labels=labels or {"angry": 30, "happy": 30})


def drawn(dataset: Dataset, how: Rendered) -> list[bytes]:
    return [image.read() for image in rendered.images(dataset, how)]


def test_an_image_does_not_depend_on_which_were_read_before():
    forwards = drawn(small(), settings(scale=0.5))
    backwards = [image.read() for image in reversed(rendered.images(small(), settings(scale=0.5)))]
    assert forwards == backwards[::-1]


def test_an_image_is_the_same_each_time_it_is_read():
    image = rendered.images(small(), settings(scale=1.0))[7]
    assert image.read() == image.read()


HASHES = """
import hashlib, sys
import cv2
from numpy._core import _multiarray_umath as cpu
from src.params import Dataset, Rendered
from src.sources import rendered
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


def test_images_are_the_same_on_a_cpu_that_can_do_less():
    optional = [name.strip("*?") for name in cv2.getCPUFeaturesLine().split() if name.startswith("*")]
    usable = [name for name in numpy_cpu.__cpu_dispatch__ if numpy_cpu.__cpu_features__[name]]
    *_, expected = hashes()
    opencv, numpy, lines = hashes(
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
    one, two = (drawn(small(), settings(scale=0.5, seed=seed)) for seed in (1, 2))
    assert not set(one) & set(two)


def test_every_index_draws_another_image():
    images = drawn(small(), settings(scale=1.0))
    assert len(set(images)) == len(images) == 60


@pytest.mark.parametrize("size", [16, 48, 208])
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
    selected = archive.select(rendered.images(whole, settings()), half.images / whole.images)
    assert len(selected) == 1810
    of_label = Counter(image.label for image in selected)
    for label, full in half.labels.items():
        assert abs(of_label[label] - 0.1 * full) <= 2  # rounded in train and in test


def shown(noise: float, images: int = 200) -> list[str]:
    """Which of two emotions each image shows, by comparison with faces drawn without noise.

    All are filed under sad. The same index drawn for sad and for happy without noise tells which it is.
    """
    labels = {"sad": images, "happy": images}
    filed = rendered.images(small(16, **labels), settings(scale=1.0, label_noise=noise))[:images]
    sad = rendered.images(small(16, **labels), settings(scale=1.0, label_noise=0.0))[:images]
    happy = rendered.images(small(16, happy=images, sad=images), settings(scale=1.0, label_noise=0.0))[:images]
    assert {image.label for image in filed} == {image.label for image in sad} == {"sad"}
    assert {image.label for image in happy} == {"happy"}
    answers = []
    for image, if_sad, if_happy in zip(filed, sad, happy, strict=True):
        faces = {if_sad.read(): "sad", if_happy.read(): "happy"}
        assert len(faces) == 2, "sad and happy look the same"
        answers.append(faces[image.read()])
    return answers


def test_without_label_noise_every_image_shows_its_label():
    assert set(shown(0.0, images=30)) == {"sad"}


def test_with_full_label_noise_every_image_shows_another_label():
    assert set(shown(1.0, images=30)) == {"happy"}


def test_label_noise_is_the_share_of_images_that_show_another_label():
    assert 0.2 < shown(0.3).count("happy") / 200 < 0.4


def test_label_noise_leaves_the_counts_as_they_are():
    clean, noisy = (rendered.images(small(), settings(scale=1.0, label_noise=noise)) for noise in (0.0, 1.0))
    assert [image.member for image in clean] == [image.member for image in noisy]


@pytest.mark.parametrize("spelling", [{"Anger": 10, "Happiness": 10}, {"ANGRY": 10, "Happy": 10}])
def test_a_face_does_not_depend_on_how_its_label_is_spelled(spelling):
    how = settings(scale=1.0)
    assert drawn(small(16, **spelling), how) == drawn(small(16, angry=10, happy=10), how)


@pytest.mark.parametrize(("scale", "label"), [(0.001, "disgust"), (0.0001, "angry")])
def test_a_scale_that_leaves_a_label_without_images_is_refused(scale, label):
    with pytest.raises(UserError, match=rf"rendered\.scale = {scale} .* leave {label} "):
        rendered.images(DATASETS["ai"], settings(scale=scale))


def test_a_label_that_cannot_be_drawn_is_named():
    with pytest.raises(UserError, match="cannot draw smug; it knows angry"):
        rendered.images(small(happy=10, smug=10), settings(scale=1.0))
