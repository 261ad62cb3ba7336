import numpy as np
import pytest
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from src.train.augmentation import zoom


@pytest.mark.parametrize("factors", [(0.8, 0.8), (1.2, 1.2), (0.8, 1.2), (1.13, 0.87), (1.0, 1.0)])
def test_zoom_gives_what_image_data_generator_gives(factors):
    image = np.random.default_rng(0).random((48, 48, 1), np.float32)
    expected = ImageDataGenerator(zoom_range=0.2).apply_transform(image, {"zy": factors[0], "zx": factors[1]})
    ours = zoom(image[None, ..., 0], np.array([factors], np.float32))
    np.testing.assert_allclose(ours[0], expected[..., 0], atol=2e-5)


def test_each_image_of_a_batch_has_its_own_factors():
    images = np.random.default_rng(0).random((3, 20, 20), np.float32)
    factors = np.array([(0.8, 1.0), (1.0, 1.2), (1.1, 0.9)], np.float32)
    together = zoom(images, factors)
    alone = [zoom(images[i : i + 1], factors[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, atol=1e-6)
