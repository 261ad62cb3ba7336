"""Gives every experiment that `dvc exp show` lists its MLflow run: python -m src.sync

MLflow is a view of DVC's outputs. A result that DVC took from its cache was never trained here, so nothing was logged;
and a database can be lost. Each experiment is checked out in a clean copy and logged by the code of its own commit.
"""

import json
import os
import sys
from pathlib import Path

from src import command, tracking
from src.core.files import root
from src.errors import UserError
from src.revisions import call, clean_copy

# Prints nothing but why it was not logged. The code of an early commit may raise anything.
LOG = """
import contextlib, sys
try:
    with contextlib.redirect_stdout(sys.stderr):
        from src import params, tracking
        try:
            from src import identity
            key = identity.of('train').key
        except ImportError:  # until code was bound to stages
            from src import experiment
            key = experiment.key(params.load())
        with tracking.open_run(params.load(), key) as run:
            run.log_outputs('plot')
except Exception as error:
    print(str(error) or type(error).__name__)
"""


def experiments(repository: Path) -> list[tuple[str, str]]:
    """(commit, name) of the committed experiment and of every successful one that `dvc exp show` lists."""
    listed = []
    for baseline in json.loads(call("dvc", "exp", "show", "--json", cwd=repository)):
        if baseline["rev"] != "workspace":
            listed.append((baseline["rev"], ""))
        for group in baseline["experiments"] or []:
            state = (group.get("executor") or {}).get("state")
            if state in (None, "success"):
                listed += [(revision["rev"], revision["name"] or "") for revision in group["revs"]]
    return listed


def log(repository: Path, commit: str, name: str) -> str:
    """Logs one experiment; returns why it could not, "" if it could."""
    names = {"DVC_EXP_NAME": name} if name else {}
    try:
        with clean_copy(repository, commit, share_cache=True) as copy:
            return call(sys.executable, "-c", LOG, cwd=copy, capture=True, DVC_ROOT=str(repository), **names)
    except UserError as error:
        reason = str(error).replace(LOG, "…")
        if not reason.startswith("dvc checkout"):
            return reason
        return f"DVC's cache has not all of its outputs; `dvc fetch` gets them if a remote has: {reason}"


def main() -> int:
    """Logs one experiment after the other; returns 1 if any could not be logged."""
    repository = root()
    tracking.prepare()  # a store that cannot be used is said once, and made by this code
    listed, failed = experiments(repository), 0
    for commit, name in listed:
        print(f"{commit[:7]} {name}", flush=True)
        if reason := log(repository, commit, name):
            failed += 1
            print(f"error: {commit[:7]} {name} is not logged: {' '.join(reason.split()).rstrip(':')}", file=sys.stderr)
    if failed:
        print(f"error: {failed} of {len(listed)} experiments are not logged, the others are", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.pop("DVC_ROOT", None)  # the repository is where the command is typed
    command.run(main)
