"""Filters of the first layer, and Grad-CAM."""

import keras
import numpy as np
import pytest

from src import params
from src.evaluate import gradcam
from src.model import network, saved
from src.plot import filters


def test_filters_are_read_as_keras_has_them_and_give_what_keras_gives(tmp_path):
    chosen = params.load()
    model = network.build(chosen)
    saved.save(model, tmp_path / "model.h5", chosen)
    kernels = filters.first_layer(tmp_path / "model.h5")
    layer = model.get_layer("conv_1")
    np.testing.assert_array_equal(kernels, np.moveaxis(np.asarray(layer.kernel)[:, :, 0], -1, 0))
    image = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    expected = layer(image[None, ..., None] / np.float32(255))[0, ..., 5]
    np.testing.assert_allclose(filters.applied(image, kernels[5]), expected, atol=1e-5)


def test_the_sobel_family_is_recognised_whatever_its_direction_sign_and_strength():
    left = filters.LEFT_SOBEL
    diagonal = np.array([[0, 1, 2], [-1, 0, 1], [-2, -1, 0]])
    flat, dot = np.ones((3, 3)), np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    kernels = np.stack([left, -left, 0.01 * left.T, diagonal, flat, dot, np.zeros((3, 3))]).astype(np.float32)
    assert filters.sobel_similarity(kernels) == pytest.approx([1, 1, 1, 1, 0, 0, 0], abs=1e-6)
    chance = filters.random_similarity(seed=1)
    assert 0.3 < chance.mean() < 0.6
    np.testing.assert_array_equal(chance, filters.random_similarity(seed=1))


def test_heat_is_where_the_evidence_is():
    """A filter that sees bright points speaks for the first label, one that sees nothing for the second."""
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(2, 3, padding="same"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, "softmax"),
        ]
    )
    kernel = np.zeros((3, 3, 1, 2), np.float32)
    kernel[1, 1, 0, 0] = 1
    dense = np.zeros((8, 8, 2, 2), np.float32)
    dense[:, :, 0, 0] = dense[:, :, 1, 1] = 1
    model.set_weights([kernel, np.zeros(2), dense.reshape(128, 2), np.zeros(2)])
    images = np.zeros((2, 8, 8), np.uint8)
    images[0, 2, 5] = 200
    maps = gradcam.heat_maps(model, images)
    assert maps.shape == (2, 8, 8)
    assert maps[0, 2, 5] == 255
    assert maps[0].sum() == 255
    assert not maps[1].any()  # nothing speaks for anything


@pytest.mark.parametrize("layers", [1, 4])
def test_it_works_with_any_number_of_layers(layers):
    chosen = params.Params.model_validate(params.load().model_dump() | {"conv_layers": layers})
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 48), np.uint8)
    maps = gradcam.heat_maps(network.build(chosen), images)
    assert maps.shape == (2, *{1: (46, 46), 4: (2, 2)}[layers])
    assert maps.dtype == np.uint8
