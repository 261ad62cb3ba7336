"""python -m benchmarks [name ...]: measures, prints a table each, writes it to benchmarks/results/<name>.md."""

import argparse
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.prepare import HERE, source
from src import environment
from src.core.files import replacing
from src.report import markdown

NAMES = (
    "pytorch",
    "epoch",
    "target",
    "mathematics",
    "profile",
    "preprocess",
    "predict",
    "usable",
    "coverage",
    "turned",
    "growth",
    "network",
    "grid",
    "cluster",
    "idle",
)
DRAWN = ("growth", "network", "grid", "cluster", "idle")  # always on drawn faces


def run(name: str) -> None:
    module = import_module(f"benchmarks.{name}")
    with TemporaryDirectory() as temporary:
        table = markdown.table(module.measure(Path(temporary) / name))
    print(f"{module.__doc__}\n\n{table}\n", flush=True)
    about = environment.described(environment.fingerprint())
    data = "FER-2013" if source()["source"] == "local" and name not in DRAWN else "drawn faces"
    text = f"{module.__doc__}\n\n{table}\n\nOn {data}, with `python -m benchmarks {name}`; {about}.\n"
    with replacing(HERE / "benchmarks" / "results" / f"{name}.md") as path:
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; all unless given")
    names = parser.parse_args().names
    if not names and not find_spec("torch"):
        print("without pytorch, which is not installed; pip install -r requirements-bench.txt", file=sys.stderr)
        names = [name for name in NAMES if name != "pytorch"]
    names = names or NAMES
    for chosen in names:
        if chosen not in NAMES:
            parser.error(f"there is no benchmark {chosen}; there are {', '.join(NAMES)}")
    if len(names) == 1:
        run(names[0])
    else:
        # A process each: Linux counts what a parent held when it started a child into that child's peak memory.
        for chosen in names:
            subprocess.run([sys.executable, "-m", "benchmarks", chosen], check=True)
