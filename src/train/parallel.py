"""The network as it is trained: the same layers and weights, arranged so that a step keeps several cores busy."""

from itertools import groupby

import keras
import tensorflow as tf
from keras import layers

from src.model.inputs import TOGETHER
from src.train import pooled

# Image by image, and between two normalisations these are nearly all there is to compute.
PER_IMAGE = (layers.Conv2D, layers.MaxPooling2D, layers.ReLU)


class Parallel(keras.Model):
    """Trains the layers of `network`; where it does not train, it gives what `network` gives.

    What treats image by image treats the parts of a batch beside each other; batch normalisation sees the whole. How a
    batch is divided does not depend on the machine, so that the bits are the same on any number of cores.

    Args:
        threads: at most so many parts of a batch.
        trained: images of the smallest batch in training.
        scored: images of the smallest batch that is scored.
    """

    def __init__(self, network: keras.Sequential, threads: int, trained: int, scored: int):
        super().__init__(name=f"parallel_{network.name}")
        self.network, self.threads, self.trained, self.scored = network, threads, trained, scored

    def call(self, values: tf.Tensor, training: bool | None = False) -> tf.Tensor:
        """What Keras calls for a batch of images (batch, size, size, 1)."""
        smallest = self.trained if training else self.scored
        parts = min(self.threads, smallest // TOGETHER)
        for per_image, group in groupby(self.network.layers, _per_image):
            stack, images = list(group), tf.shape(values)[0]
            if per_image and parts > 1:
                others = [images // parts] * (parts - 1)
                # tf.split, as its gradient puts the parts side by side; that of a slice adds up padded arrays.
                divided = tf.split(values, [images - sum(others), *others])
                values = tf.concat([_through(stack, part, training) for part in divided], axis=0)
            elif per_image and smallest < TOGETHER:
                repeated = tf.concat([values, values], axis=0)
                values = _through(stack, repeated[: tf.maximum(images, TOGETHER)], training)[:images]
            else:
                values = _through(stack, values, training)
        return values


def _through(stack: list[keras.Layer], values: tf.Tensor, training: bool | None) -> tf.Tensor:
    left = [*stack]
    while left:
        layer = left.pop(0)
        if training and left and pooled.applies(layer, left[0]):
            values = pooled.convolved(layer, left.pop(0), values)
        elif training and _fused(layer, values):
            values = _normalized(layer, values)
        else:
            values = layer(values)
    return values


def _per_image(layer: keras.Layer) -> bool:
    # Of these very classes: one derived from them may look at the whole batch, as does what adds to the loss.
    return type(layer) in PER_IMAGE and layer.activity_regularizer is None


def _fused(layer: keras.Layer, values: tf.Tensor) -> bool:
    """Whether TensorFlow's kernel does what `layer` does: normalise pictures channel by channel, and learn from it."""
    plain = type(layer) is layers.BatchNormalization and layer.trainable and layer.center and layer.scale
    return plain and len(values.shape) == 4 and layer.axis in (-1, 3)


def _normalized(layer: layers.BatchNormalization, values: tf.Tensor) -> tf.Tensor:
    """What `layer` does in training, by TensorFlow's fused kernel.

    The same formula and the same running averages. Keras takes some ten passes over the values, forward and back. And
    oneDNN's kernel divides by a square root, so that its bits are the same on every CPU.
    """
    normalized, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=tf.cast(values, tf.float32),
        scale=layer.gamma,
        offset=layer.beta,
        mean=tf.constant([], tf.float32),  # empty: those of the batch
        variance=tf.constant([], tf.float32),
        epsilon=layer.epsilon,
    )
    # The kernel's variance is divided by n - 1; Keras averages the one divided by n.
    count = tf.cast(tf.size(values) // values.shape[-1], tf.float32)
    variance *= (count - 1) / count
    kept = layer.momentum
    layer.moving_mean.assign(layer.moving_mean * kept + mean * (1 - kept))
    layer.moving_variance.assign(layer.moving_variance * kept + variance * (1 - kept))
    return tf.cast(normalized, layer.compute_dtype)
