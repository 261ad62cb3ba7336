"""Retrains a committed experiment in a clean copy and compares every output with dvc.lock: python -m src.verify

Exit status 0 and one line when all bytes are the same; otherwise what differs, from which epoch on, and both
environments side by side.
"""

import argparse
import io
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from src import command, environment, identity, params, plain_yaml
from src.core import pinning
from src.core.files import root
from src.errors import UserError, printable
from src.revisions import call, clean_copy, outputs


def verify(repository: Path, revision: str, threads: int | None) -> list[str]:
    """Lines about what differs; none when every output is the same.

    Raises:
        UserError: there is no such revision, it has no dvc.lock, or its pipeline fails here.
    """
    with clean_copy(repository, revision, share_cache=False) as copy:
        for name in ("dvc.lock", "metrics/history.csv"):
            if not (copy / name).is_file():
                raise UserError(f"{revision} has no {name}, so nothing to compare with; commit what dvc repro writes")
        lock = plain_yaml.read(copy / "dvc.lock")
        committed = outputs(lock)
        history = (copy / "metrics/history.csv").read_text(encoding="utf-8")
        _adapt(copy / "params.yaml", repository, threads)
        # Into the copy's own store, not the user's.
        call("dvc", "repro", "--force", cwd=copy, capture=False, MLFLOW_TRACKING_URI="")
        again = outputs(plain_yaml.read(copy / "dvc.lock"))
        differing = [path for path in committed if again.get(path) != committed[path]]
        if not differing:
            if ignored := pinning.ignored():
                print("set outside the repository, without effect:", *_lines(ignored), sep="\n")
            print(f"identical: all {len(committed)} outputs of {revision} came out with the bytes in its dvc.lock")
            return []
        report = [f"different: {path} ({committed[path]} -> {again.get(path)})" for path in differing]
        report += _first_difference(history, (copy / "metrics/history.csv").read_text(encoding="utf-8"))
    trained = identity.recorded(lock["stages"]["train"])
    return report + _side_by_side(environment.of_training(trained.key), environment.fingerprint())


def _adapt(path: Path, repository: Path, threads: int | None) -> None:
    """Lets the copy find local data that stands relative to the repository, and tries other threads if asked."""
    committed = _read(path)
    yaml = YAML()
    values = yaml.load(path.read_text(encoding="utf-8"))
    if committed.source == "local":
        assert committed.local_path is not None  # as params.py checks
        values["local_path"] = str((repository / committed.local_path).resolve())
    if threads is not None:
        values["threads"] = threads
    yaml.dump(values, path)
    _read(path)


def _read(path: Path) -> params.Params:
    """Not `params.load`, which wants every param of today: the revision has those of its own code."""
    return params.check(plain_yaml.read(path), path)


def _first_difference(before: str, after: str) -> list[str]:
    old, new = (pd.read_csv(io.StringIO(text), float_precision="round_trip") for text in (before, after))
    curves = [name for name in old.columns if name not in ("epoch", "source")]
    for (_, was), (_, now) in zip(old.iterrows(), new.iterrows(), strict=False):
        changed = {name: now[name] - was[name] for name in curves if now[name] != was[name]}
        if changed:
            by = ", ".join(f"{name} by {difference:+.3g}" for name, difference in changed.items())
            return [f"history.csv differs from epoch {was['epoch']} on: {by}"]
    if len(old) != len(new):
        return [f"history.csv has {len(new)} epochs instead of {len(old)}, equal as far as both go"]
    return ["history.csv is the same"]


def _side_by_side(then: dict[str, str], now: dict[str, str]) -> list[str]:
    if not then:
        shown = {name: value for name, value in now.items() if not name.startswith("package.")}
        return ["the committed result was not trained in this repository; here:", *_lines(shown)]
    names = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    lines = [f"  {name}: {then.get(name, '-')} | {now.get(name, '-')}" for name in names]
    return ["environment, committed | here:", *(lines or ["  the same in everything that is recorded"])]


def _lines(settings: dict[str, str]) -> list[str]:
    return [f"  {name}: {printable(value)}" for name, value in settings.items()]


def main() -> int:
    """Returns 1 when anything differs."""
    parser = argparse.ArgumentParser(prog="python -m src.verify", description=str(__doc__).splitlines()[0])
    parser.add_argument("revision", nargs="?", default="HEAD", help="commit or DVC experiment, default HEAD")
    parser.add_argument("--threads", type=int, help="train with another number of threads, to see the difference")
    arguments = parser.parse_args()
    report = verify(root(), arguments.revision, arguments.threads)
    print("\n".join(report), end="\n" if report else "")
    return bool(report)


if __name__ == "__main__":
    command.run(main)
