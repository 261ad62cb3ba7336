"""Where the time of a training epoch goes: the kernels' own seconds on one core, by what they are for.

Kernels run beside each other and beside the data path, so they add up to more than the epoch. Beside the convolutions
stands what their arithmetic would take at the speed that one core reaches in a large matrix product.
"""

import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.epoch import folder_for
from benchmarks.prepare import python

if TYPE_CHECKING:
    import keras

FORWARD, FIRST, SPARSE = (
    f"convolutions, {what}"
    for what in ("forward", "gradients of the first", "gradients of the others, where they are not zero")
)
GROUPS = {  # what the names of TensorFlow's operations contain -> what they are for; the first that fits
    FIRST: ("Conv2DBackpropFilter",),
    SPARSE: ("pooled_gradient",),
    FORWARD: ("FusedConv2D",),
    "pooling": ("MaxPool",),
    "batch normalisation": ("/norm_", "BatchNorm"),
    "dense layers": ("/dense", "/emotion"),
    "Adam": ("ApplyAdam",),
    "data": ("MatMul", "OneHot", "Maximum", "PyFunc"),
}


def measure(folder: Path) -> pd.DataFrame:
    folder_for(folder, epochs=2)
    process = python(folder, "-m", "benchmarks.profile", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    answer, _ = process.communicate()
    if process.returncode:
        raise SystemExit("error: the profile was not taken")
    seconds, at_peak = json.loads(answer)
    total = sum(seconds.values())
    return pd.DataFrame(
        {
            "": name,
            "seconds an epoch": f"{value:.2f}",
            "share": f"{value / total:.0%}",
            "as a matrix product": f"{at_peak[name]:.2f}" if name in at_peak else "",
        }
        for name, value in sorted(seconds.items(), key=lambda item: -item[1])
    )


def take() -> tuple[dict[str, float], dict[str, float]]:
    """Trains two epochs in the current folder and profiles the second.

    Returns:
        Group -> seconds, and for the convolutions the seconds their arithmetic would take as one matrix product.
    """
    from src import params
    from src.core import arrays, runtime
    from src.core.files import ARRAYS

    chosen = params.load()
    runtime.configure(chosen.portable)
    import tensorflow as tf

    from src.train import batches, fit

    images, labels = arrays.load(ARRAYS, "train")
    model = fit.compiled(chosen, len(images), len(images))
    for epoch in range(2):
        drawn = batches.training(images, labels, chosen, epoch)
        if epoch:
            tf.profiler.experimental.start("profile")
        model.fit(drawn, shuffle=False, verbose=0)
    tf.profiler.experimental.stop()
    (written,) = Path("profile").rglob("*.xplane.pb")
    convolutions, first = (_operations_to(model.network, name) for name in ("flatten", "conv_1"))
    one = len(images) / _multiplications_a_second()
    # Nobody asks for the gradient of the images. The others have two: of their weights and of their inputs.
    at_peak = {FORWARD: convolutions, FIRST: first, SPARSE: 2 * (convolutions - first)}
    return _by_group(written), {group: count * one for group, count in at_peak.items()}


def _operations_to(model: "keras.Sequential", layer: str) -> int:
    """As train counts them, from the images to the output of `layer`."""
    import keras

    from src.model import network

    return network.operations(keras.Model(model.inputs, model.get_layer(layer).output))


def _multiplications_a_second(size: int = 1024) -> float:
    """Of one core, each with its addition, in a product of two square matrices: the best of ten."""
    import tensorflow as tf

    square, seconds = tf.random.stateless_normal((size, size), (1, 1)), []
    for _ in range(11):  # the first one warms up
        start = time.perf_counter()
        tf.linalg.matmul(square, square).numpy()
        seconds.append(time.perf_counter() - start)
    return size**3 / min(seconds[1:])


def _by_group(path: Path) -> dict[str, float]:
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(path.read_bytes())
    seconds: Counter[str] = Counter()
    for plane in space.planes:
        names = {number: metadata.name for number, metadata in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                # Kernels are named <node>:<operation>; what stands around them would count their time again.
                name = names[event.metadata_id]
                if ":" in name and "::" not in name and "EagerLocalExecute" not in name:
                    seconds[_group(name)] += event.duration_ps / 1e12
    return dict(seconds)


def _group(name: str) -> str:
    return next((group for group, parts in GROUPS.items() if any(part in name for part in parts)), "everything else")


if __name__ == "__main__":
    print(json.dumps(take()))
