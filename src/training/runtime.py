"""TensorFlow, set up so that the same params give the same bits."""

import os

from absl import logging

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported: errors only

import tensorflow as tf

logging.set_verbosity(logging.ERROR)  # Keras calls HDF5, the report's format, legacy at every save


def configure(threads: int) -> None:
    """Fixes what would otherwise follow the machine: threads per operation, nondeterministic kernels."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
