"""Gives every experiment that `dvc exp show` lists its MLflow run: python -m src.sync

MLflow is a view of DVC's outputs. A result that DVC took from its cache was never trained here, so nothing was logged;
and a database can be lost. Each experiment is checked out in a clean copy and logged by the code of its own commit.
"""

import json
import os
import sys
from pathlib import Path

from src import command
from src.files import root
from src.revisions import call, clean_copy

LOG = (
    "from src import experiment, params, tracking; p = params.load()\n"
    "with tracking.open_run(p, experiment.key(p)) as run: run.log_outputs('plot')"
)


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


def main() -> None:
    repository = root()
    for commit, name in experiments(repository):
        print(f"{commit[:7]} {name}", flush=True)
        names = {"DVC_EXP_NAME": name} if name else {}
        with clean_copy(repository, commit, share_cache=True) as copy:
            call(sys.executable, "-c", LOG, cwd=copy, DVC_ROOT=str(repository), **names)


if __name__ == "__main__":
    os.environ.pop("DVC_ROOT", None)  # the repository is where the command is typed
    command.run(main)
