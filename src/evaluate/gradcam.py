"""Where the network looks: Grad-CAM (Selvaraju et al., 2017)."""

import keras
import numpy as np
import tensorflow as tf

from src.model.network import CONVOLUTIONS


def heat_maps(model: keras.Sequential, images: np.ndarray) -> np.ndarray:
    """What speaks for the predicted label, per image and position of the last convolutional layer.

    Args:
        images: (n, size, size) uint8.

    Returns:
        (n, height, width) uint8; each map's highest value is 255, or all are 0 where nothing speaks for the label.
    """
    last = max(number for number, layer in enumerate(model.layers) if isinstance(layer, CONVOLUTIONS))
    *above, emotion = model.layers[last + 1 :]
    # Some layers train unless told not to.
    maps = keras.Sequential(model.layers[: last + 1])(images[..., None].astype(np.float32) / 255, training=False)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        features = keras.Sequential(above)(maps, training=False)
        # Scores before the softmax, as in the paper: behind it they are all but flat where the network is sure.
        scores = tf.cast(features, tf.float32) @ tf.convert_to_tensor(emotion.kernel)
        if emotion.use_bias:
            scores += emotion.bias
        best = tf.reduce_max(scores, axis=1)
    weights = tf.reduce_mean(tape.gradient(best, maps), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * tf.nn.relu(maps), axis=-1)).numpy().astype(np.float32)
    highest = heat.max(axis=(1, 2), keepdims=True)
    return np.round(255 * np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)).astype(np.uint8)
