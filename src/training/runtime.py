"""TensorFlow, set up so that the same params give the same bits."""

import os


def configure(threads: int) -> None:
    """Fixes what would otherwise follow the machine. Call before anything else imports TensorFlow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    import tensorflow as tf
    from absl import logging

    logging.set_verbosity(logging.ERROR)  # Keras calls HDF5, the report's format, legacy at every save
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
