"""What a result depends on besides commit, params and data: never in a DVC output, kept beside the checkpoints."""

import json
import os
import platform
import time
from importlib.metadata import distributions
from pathlib import Path

from src.core import pinning
from src.core.files import root, write_json

SHORT = ("cpu.model", "cpu.cores", "cpu.features", "system", "python", "package.tensorflow", "package.keras")
# Settings of libraries and of the loader that are left as they are: bits do not depend on them, as far as is known.
WATCHED = ("CUDA_", "GLIBC_TUNABLES", "JSIMD_", "LD_PRELOAD", "MKL_", "NPY_", "OMP_", "OPENBLAS_", "OPENCV_", "PYTHON")


def fingerprint() -> dict[str, str]:
    """Flat and sorted: machine, CPU model, its features and caches, settings outside the repository, every package.

    Settings are those left as they are (`env.`) and those that are pinned and so without effect (`ignored.`).
    """
    found = {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **_cpu(),
    }
    found |= {f"env.{name}": value for name, value in os.environ.items() if name.startswith(WATCHED)}
    found |= {f"ignored.{name}": value for name, value in pinning.ignored().items()}
    found |= {f"package.{d.name.lower()}": d.version for d in distributions()}
    return dict(sorted(found.items()))


SECONDS = "seconds_per_epoch"


class Clock:
    """Notes where the training of an identity runs, and how long its fastest epoch took.

    Whatever else the machine does only makes an epoch longer. It is noted after every epoch, as a training may be
    killed; one that goes on elsewhere counts there.
    """

    def __init__(self, key: str):
        self._key = key
        self._fingerprint = fingerprint()
        self._last: float | None = None

    def epoch_ended(self) -> None:
        """Call it after every epoch; the first one only starts the clock."""
        now = time.monotonic()
        before = of_training(self._key)
        same = {name: value for name, value in before.items() if name != SECONDS} == self._fingerprint
        fastest = [float(before[SECONDS])] if same and SECONDS in before else []
        if self._last is not None:
            fastest.append(round(now - self._last, 2))
        self._last = now
        write_json(noted(self._key), self._fingerprint | ({SECONDS: str(min(fastest))} if fastest else {}))


def of_training(key: str) -> dict[str, str]:
    """The fingerprint of where the training of that identity ran, with `SECONDS` of its fastest epoch if it had two;
    empty where it never ran in this repository."""
    try:
        return json.loads(noted(key).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def noted(key: str) -> Path:
    """Where `Clock` notes it."""
    return root() / ".environments" / f"{key}.json"


def described(found: dict[str, str]) -> str:
    """What of a fingerprint a reader of its numbers wants to know, in a line; empty of an empty one."""
    return "; ".join(f"{name.removeprefix('package.')} {found[name]}" for name in SHORT if name in found)


def _cpu() -> dict[str, str]:
    """From /proc and /sys, where there are any; elsewhere what Python knows."""
    if not _first_core():
        return {"cpu.model": platform.processor() or platform.machine(), "cpu.cores": str(os.cpu_count())}
    caches = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    return {
        "cpu.model": _first_core().get("model name", platform.machine()),  # ARM has none
        "cpu.cores": str(os.cpu_count()),
        "cpu.features": " ".join(cpu_features()),
        "cpu.caches": " ".join(path.read_text().strip() for path in caches),
    }


def portable_here(machine: str) -> bool:
    """Whether `portable` gives a machine of that kind, as `platform.machine` names it, the bits of all others.

    Elsewhere than on x86-64 it is no mistake: training runs, and repeats its own bits.
    """
    return machine.lower() in ("x86_64", "amd64")


def cpu_features() -> list[str]:
    """The CPU's vector instruction sets, as Linux names them, sorted; empty where the system does not tell."""
    flags = _first_core().get("flags", "").split()
    return sorted(flag for flag in flags if flag.startswith(("sse", "avx", "fma", "amx")))


def _first_core() -> dict[str, str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n\n")[0].splitlines() if info.exists() else []
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
