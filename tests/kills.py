"""Kills whole `dvc repro` runs at random moments and looks at what they end with: python -m tests.kills 100

Each clone is killed ten times, in all six stages and while mlflow.db is made, and then finishes. Exit status 1 when one
cannot go on, or ends with other bytes than a run that nobody disturbed.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import mlflow

from tests.conftest import Clone, commit_working_tree, environment, fresh

# Where each of ten kills falls; training first makes mlflow.db, and takes the longest.
STAGES = (
    "download",
    "split",
    "usable",
    "segmentation",
    "preprocess",
    "train",
    "train",
    "train",
    "train",
    "evaluate",
    "evaluate",
    "plot",
)


class Outcome(NamedTuple):
    kills: list[tuple[str, float]]  # stage, and seconds after it began
    wrong: str  # what is wrong with the end; empty if nothing is


def start(clone: Clone, log: Path) -> subprocess.Popen:
    """`dvc repro` in a process group of its own."""
    with log.open("a") as file:
        return subprocess.Popen(
            ["dvc", "repro"], cwd=clone.path, env=environment(), stdout=file, stderr=file, start_new_session=True
        )


def kill(process: subprocess.Popen) -> None:
    """As a crash of the machine does: `dvc`, its stage, and whatever they started."""
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def durations(clone: Clone, log: Path) -> dict[str, float]:
    """Seconds from the start of each stage to that of the next, in a run that nobody disturbs."""
    process, began = start(clone, log), {}
    while process.poll() is None:
        began |= {stage: time.monotonic() for stage in _begun(log, 0, STAGES[0]) if stage not in began}
        time.sleep(0.01)
    assert process.returncode == 0, log.read_text()[-3000:]
    moments = [*began.values(), time.monotonic()]
    return {stage: after - before for stage, before, after in zip(began, moments, moments[1:], strict=False)}


def killed(clone: Clone, log: Path, seconds: dict[str, float], moments: random.Random) -> Outcome:
    """Kills `dvc repro` in `clone` again and again, up to ten times, and then lets it finish."""
    kills = []
    for place in STAGES:
        offset = log.stat().st_size if log.exists() else 0
        process = start(clone, log)
        while process.poll() is None and not _begun(log, offset, place):
            time.sleep(0.002)
        if process.poll() is None:
            stage = _begun(log, offset, place)[0]
            began, moment = time.monotonic(), moments.uniform(0, 1.2 * seconds[stage])
            # At the latest when the next stage has begun: DVC has just taken over what this one wrote.
            while process.poll() is None and time.monotonic() - began < moment:
                if _begun(log, offset, place) != [stage]:
                    break
                time.sleep(0.002)
            kill(process)
            if process.returncode == -signal.SIGKILL:  # not ended by itself in the last moment
                kills.append((stage, time.monotonic() - began))
        elif process.returncode:
            return Outcome(kills, f"dvc repro ends with {process.returncode}: {log.read_text()[-1500:]}")
    process = start(clone, log)
    if process.wait():
        return Outcome(kills, f"dvc repro ends with {process.returncode}: {log.read_text()[-1500:]}")
    return Outcome(kills, "")


def difference(clone: Clone, undisturbed: Clone, epochs: int) -> str:
    """What is other than in the undisturbed clone: outputs, the run in MLflow; empty if nothing is."""
    if (clone.path / "dvc.lock").read_text() != (undisturbed.path / "dvc.lock").read_text():
        return "dvc.lock is another one"
    if changed := clone.run("dvc", "status", "-q", ok=False).returncode:
        return f"dvc status -q gives {changed}"
    client = mlflow.MlflowClient(f"sqlite:///{clone.path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("face-emotions").experiment_id])
    steps = [[point.step for point in client.get_metric_history(run.info.run_id, "loss/train")] for run in runs]
    if steps != [list(range(1, epochs + 1))] or runs[0].info.status != "FINISHED":
        return f"MLflow has epochs {steps}, {[run.info.status for run in runs]}"
    return ""


def _begun(log: Path, offset: int, place: str) -> list[str]:
    """The stages from `place` on that DVC has begun, according to what the log holds from `offset` on."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(offset)
        said = file.read().decode(errors="replace")
    stages = [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage '")]
    return [stage for stage in stages if STAGES.index(stage) >= STAGES.index(place)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__.splitlines()[0])
    parser.add_argument("kills", type=int, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    arguments = parser.parse_args()
    moments, epochs = random.Random(arguments.seed), 6
    done, wrong = [], []
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        small = commit_working_tree(folder / "small", epochs=epochs)
        undisturbed = fresh(small, folder / "undisturbed")
        seconds = durations(undisturbed, folder / "log")
        while len(done) < arguments.kills:
            number = len(list(folder.glob("killed-*")))
            clone, log = fresh(small, folder / f"killed-{number}"), folder / f"log-{number}"
            outcome = killed(clone, log, seconds, moments)
            said = outcome.wrong or difference(clone, undisturbed, epochs)
            done += outcome.kills
            wrong += [said] * bool(said)
            places = ", ".join(f"{stage} {moment:.2f} s" for stage, moment in outcome.kills)
            print(f"{len(done)} kills; the last ones: {places}: {said or 'same bytes'}", flush=True)
    print(f"{len(done)} kills in {number + 1} clones, {len(wrong)} of which did not end as if undisturbed")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
