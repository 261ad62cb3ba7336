"""`portable: true` trains to the same bits on another CPU, as far as one can be had here."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TRAIN = """
import hashlib, sys
from src import params
from src.core import runtime
values = params.load().model_dump()
values |= {"dataset": sys.argv[1], "conv_layers": int(sys.argv[2]), "batch_size": int(sys.argv[3])}
values |= {"portable": sys.argv[4] == "portable"}
chosen = params.Params.model_validate(values)
runtime.configure(chosen.portable)
import numpy as np
from src.model import inputs
from src.train import batches, fit
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (2 * chosen.batch_size, chosen.data.input_size, chosen.data.input_size), np.uint8)
labels = rng.integers(0, len(chosen.data.labels), len(images)).astype(np.uint8)
model, classes = fit.compiled(chosen, len(images)), len(chosen.data.labels)
drawn = batches.training(images, labels, chosen, 0)
fitted = model.fit(drawn, validation_data=inputs.scoring(images, labels, classes), shuffle=False, verbose=0)
print(hashlib.sha256(b"".join(variable.numpy().tobytes() for variable in model.variables)).hexdigest())
print(*(value[0].hex() for value in fitted.history.values()))
"""
NETWORKS = [("ai", 3, 32), ("ai", 1, 32), ("ai", 4, 32), ("ai2", 3, 2)]  # dataset, conv_layers, batch_size


def trained(dataset: str, layers: int, batch: int, portable: bool, *command: str, **environment: str) -> str:
    """What two batches of training lead to: a hash of weights and statistics, and the curves."""
    name = "portable" if portable else "native"
    done = subprocess.run(
        [*(command or [sys.executable]), "-c", TRAIN, dataset, str(layers), str(batch), name],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def emulated(model: str) -> tuple[str, ...]:
    """The command that runs Python as on a CPU of that model; its cache sizes are other ones, too."""
    qemu = shutil.which("qemu-x86_64")
    if not qemu:
        pytest.skip("needs qemu-x86_64 (Debian: qemu-user) to emulate another CPU")
    return qemu, "-cpu", model, str(Path(sys.executable).resolve())


@pytest.mark.slow
def test_settings_of_the_shell_do_not_reach_a_portable_training():
    settings = {"ONEDNN_MAX_CPU_ISA": "SSE41", "TF_ENABLE_ONEDNN_OPTS": "0"}
    assert trained("ai", 3, 32, True, **settings) == trained("ai", 3, 32, True)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("cpu", ["Haswell", "EPYC"])
def test_a_portable_training_has_the_same_bits_on_an_emulated_cpu(cpu, network):
    assert trained(*network, True, *emulated(cpu)) == trained(*network, True)


@pytest.mark.slow
def test_a_native_training_has_not():
    """Otherwise the test above proves nothing."""
    if "avx512f" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this CPU may not differ from the emulated one")
    assert trained("ai", 3, 32, False, *emulated("Haswell")) != trained("ai", 3, 32, False)
