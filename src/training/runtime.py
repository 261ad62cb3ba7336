"""TensorFlow, set up so that the same params give the same bits."""

import os

from src.params import Params

# Read when TensorFlow is loaded. oneDNN and Eigen pick code by what the CPU can do and by the size of its caches,
# and each choice adds up in another order; `portable` takes the same code on every x86-64 CPU with AVX2.
PORTABLE = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL": "0",
}


def configure(params: Params) -> None:
    """Fixes what would otherwise follow the machine. Call before anything else imports TensorFlow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if params.portable:
        os.environ.update(PORTABLE)

    import tensorflow as tf
    from absl import logging

    logging.set_verbosity(logging.ERROR)  # Keras calls HDF5, the report's format, legacy at every save
    tf.config.threading.set_intra_op_parallelism_threads(params.threads)
    tf.config.experimental.enable_op_determinism()
