"""`portable: true` trains to the same bits on another CPU, as far as one can be had here."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from src import environment, params
from src.core import runtime
from src.errors import UserError

REPOSITORY = Path(__file__).parents[2]
TRAIN = """
import hashlib, json, sys
from src import params
from src.core import runtime
portable, networks = json.loads(sys.argv[1])
runtime.configure(portable)
import numpy as np
from src.model import inputs
from src.train import batches, fit
for network in networks:
    chosen = params.Params.model_validate(params.load().model_dump() | network)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2 * chosen.batch_size, chosen.data.input_size, chosen.data.input_size), np.uint8)
    labels = rng.integers(0, len(chosen.data.labels), len(images)).astype(np.uint8)
    model, classes = fit.compiled(chosen, len(images), len(images)), len(chosen.data.labels)
    drawn = batches.training(images, labels, chosen, 0)
    fitted = model.fit(drawn, validation_data=inputs.scoring(images, labels, classes), shuffle=False, verbose=0)
    print(hashlib.sha256(b"".join(variable.numpy().tobytes() for variable in model.variables)).hexdigest())
    print(*(value[0].hex() for value in fitted.history.values()))
    print(*(value.hex() for value in map(float, inputs.probabilities(model.network, images[:1])[0])))
"""
# By an AMD EPYC of family 26 (Zen 5), with TensorFlow 2.21.0; another version of it may compute other bits.
WITH_AVX512 = """c241e3410eb4645b8be2ad9261f637fda474855635b94c22b5f7f4ec396ec0ef
0x1.6000000000000p-3 0x1.3495580000000p+1 0x1.c000000000000p-4 0x1.f365d80000000p+0
"""
AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(environment.cpu_features())
REPORTS = {"dataset": "ai", "conv_layers": 3, "batch_size": 32}
NETWORKS = (
    REPORTS,
    REPORTS | {"conv_layers": 1},
    REPORTS | {"conv_layers": 4},
    {"dataset": "ai2", "conv_layers": 3, "batch_size": 2},
    REPORTS | {"batch_size": 1},
)


def trained(portable: bool | str, *networks: dict, python: tuple[str, ...] = (sys.executable,), **settings: str) -> str:
    """What two batches of training lead to: a hash of weights and statistics, curves, and what is said to one image."""
    done = subprocess.run(
        [*python, "-c", TRAIN, json.dumps([portable, networks])],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")} | settings,
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
    assert trained(True, REPORTS, **settings) == trained(True, REPORTS)


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["Haswell", "EPYC"])
def test_a_portable_training_has_the_same_bits_on_an_emulated_cpu(cpu):
    there, here = (trained(True, *NETWORKS, python=python) for python in (emulated(cpu), (sys.executable,)))
    assert there.splitlines() == here.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["usable", "segmentation"])
def test_the_small_networks_have_the_same_bits_on_an_emulated_cpu(stage, tmp_path):
    few = {f"{stage}.faces": 40, f"{stage}.epochs": 1}
    written = []
    for name, python in {"here": (sys.executable,), "there": emulated("Haswell")}.items():
        folder = tmp_path / name
        folder.mkdir()
        for code in ("src", "dvc.yaml", "libraries.yaml"):
            (folder / code).symlink_to(REPOSITORY / code)
        (folder / ".dvc").mkdir()
        (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n")
        values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
        (folder / "params.yaml").write_text(yaml.safe_dump(params.changed(values, few)))
        paths = {"PYTHONPATH": sysconfig.get_path("purelib")}
        subprocess.run([*python, "-m", f"src.{stage}"], cwd=folder, env=os.environ | paths, check=True)
        written.append((folder / f"models/{stage}.npy").read_bytes())
    assert written[0] == written[1]


@pytest.mark.slow
def test_a_native_training_has_not():
    """Otherwise the test above proves nothing."""
    if not AVX512:
        pytest.skip("this CPU may not differ from the emulated one")
    assert trained(False, REPORTS, python=emulated("Haswell")) != trained(False, REPORTS)


@pytest.mark.slow
def test_a_portable_training_with_avx512_has_the_bits_it_had_on_other_cpus():
    """No emulator has these vectors. So each CPU that runs this is held to what the first one computed."""
    if not AVX512:
        pytest.skip("needs a CPU with AVX-512")
    assert trained("avx512", REPORTS).startswith(WITH_AVX512)
    assert not trained(True, REPORTS).startswith(WITH_AVX512)


@pytest.mark.parametrize(("portable", "missing", "other"), [(True, "avx2", "false"), ("avx512", "avx512bw", "true")])
def test_a_cpu_without_the_vectors_is_refused_with_what_to_try(portable, missing, other, monkeypatch):
    has = [name for _, needed in runtime.PORTABLE.values() for name in needed if name != missing]
    monkeypatch.setattr(runtime, "cpu_features", lambda: has)
    with pytest.raises(UserError, match=f"^portable: this CPU has no {missing}; try -S portable={other}$"):
        runtime.configure(portable)
