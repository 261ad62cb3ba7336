"""TensorFlow, set up so that the same params give the same bits."""

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

from src import quiet
from src.environment import cpu_features
from src.errors import UserError
from src.params import Portable

if TYPE_CHECKING:
    import tensorflow as tf

# As wide vectors everywhere, also where oneDNN could take wider ones; and what a CPU needs for them, as Linux names it.
# oneDNN, "CPU dispatcher control", says what its levels are.
PORTABLE: dict[Portable, tuple[str, set[str]]] = {
    True: ("AVX2", {"avx2", "fma"}),
    "avx512": ("AVX512_CORE", {"avx512f", "avx512bw", "avx512dq", "avx512vl"}),
}


def configure(portable: Portable, device: str = "cpu") -> None:
    """Fixes what would otherwise follow the machine. Call before anything else imports TensorFlow.

    Args:
        portable: also fixes what would follow the model of the CPU, with vectors of AVX2 or of AVX-512.
        device: `cpu` hides every GPU; `gpu` computes on the first one.

    Raises:
        UserError: `portable` on a CPU without these vectors; `gpu` where TensorFlow finds none.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # TensorFlow takes it on some CPUs only; elsewhere it is half as fast
    if portable:
        level, needed = PORTABLE[portable]
        if missing := needed - set(cpu_features() or needed):
            other = "true" if portable == "avx512" else "false"
            raise UserError(f"portable: this CPU has no {' and no '.join(sorted(missing))}; try -S portable={other}")
        os.environ["ONEDNN_MAX_CPU_ISA"] = level

    # What it says of GPUs helps who wants one.
    with quiet.starting_tensorflow() if device == "cpu" else nullcontext():
        import keras  # noqa: F401  it loads parts of TensorFlow that speak up as well
        import tensorflow as tf
        from absl import logging

        logging.set_verbosity(logging.ERROR)  # Keras calls HDF5, the report's format, legacy at every save
        _choose(device)
    # An operation alone gains nothing from a second thread here, and adds up in another order with it.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    if portable:
        # Would make x / sqrt(y) an x * rsqrt(y) again.
        tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
        tf.nn.batch_normalization = _batch_normalization


def _choose(device: str) -> None:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif not gpus:
        raise UserError(
            f"device = gpu, but TensorFlow finds none here; install its CUDA libraries "
            f"(pip install 'tensorflow[and-cuda]=={tf.__version__}', with an NVIDIA driver), or set device=cpu"
        )
    else:
        tf.config.set_visible_devices(gpus[:1], "GPU")
        tf.config.experimental.set_memory_growth(gpus[0], True)  # two runs can share it


def _batch_normalization(
    x: "tf.Tensor",
    mean: "tf.Tensor",
    variance: "tf.Tensor",
    offset: "tf.Tensor",
    scale: "tf.Tensor",
    variance_epsilon: float,
) -> "tf.Tensor":
    """`tf.nn.batch_normalization` with a division by the square root, which IEEE 754 defines to the last bit.

    TensorFlow's own multiplies with `rsqrt`, for which Eigen refines the CPU's approximation, and that is another
    one on Intel's CPUs than on AMD's. Keras finds this one where it looks for TensorFlow's.
    """
    import tensorflow as tf

    factor = scale / tf.sqrt(variance + variance_epsilon)
    return x * factor + (offset - mean * factor)
