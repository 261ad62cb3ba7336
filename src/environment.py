"""What a result depends on besides commit, params and data. Logged to MLflow, never written to a DVC output."""

import os
import platform
from importlib.metadata import distributions
from pathlib import Path

from src import pinning

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


def described(found: dict[str, str]) -> str:
    """What of a fingerprint a reader of its numbers wants to know, in a line; empty of an empty one."""
    return "; ".join(f"{name.removeprefix('package.')} {found[name]}" for name in SHORT if name in found)


def _cpu() -> dict[str, str]:
    """From /proc and /sys, where there are any; elsewhere what Python knows."""
    if not _first_core():
        return {"cpu.model": platform.processor(), "cpu.cores": str(os.cpu_count())}
    caches = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    return {
        "cpu.model": _first_core().get("model name", ""),
        "cpu.cores": str(os.cpu_count()),
        "cpu.features": " ".join(cpu_features()),
        "cpu.caches": " ".join(path.read_text().strip() for path in caches),
    }


def cpu_features() -> list[str]:
    """The CPU's vector instruction sets, as Linux names them, sorted; empty where the system does not tell."""
    flags = _first_core().get("flags", "").split()
    return sorted(flag for flag in flags if flag.startswith(("sse", "avx", "fma", "amx")))


def _first_core() -> dict[str, str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n\n")[0].splitlines() if info.exists() else []
    return dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
