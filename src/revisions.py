"""Clean copies of a commit or a DVC experiment, outside the working tree, sharing DVC's cache or not."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from src import pinning
from src.errors import UserError


def call(*command: str, cwd: Path, capture: bool = True, **environment: str) -> str:
    """Runs git, dvc or python (that of this environment) and returns what it prints.

    Raises:
        UserError: the command fails; with the end of what it said.
    """
    tools = Path(sys.executable).parent
    path = f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"
    # Not what a surrounding `dvc exp run` has set: the copy is a repository of its own.
    ours = {name: value for name, value in pinning.of_caller().items() if not name.startswith("DVC_")}
    done = subprocess.run(
        command, cwd=cwd, env=ours | {"PATH": path} | environment, text=True, capture_output=capture, check=False
    )
    if done.returncode:
        said = f": {(done.stderr or done.stdout).strip()[-2000:]}" if capture else ""
        raise UserError(f"{' '.join(command)} failed with status {done.returncode}{said}")
    return done.stdout or ""


def experiments(repository: Path) -> dict[str, str]:
    """DVC's experiments: name -> commit, the newest where several baselines have one of that name."""
    # DVC keeps an experiment as refs/exps/<2 digits>/<38 digits of its baseline>/<name>.
    listed = call(
        "git", "for-each-ref", "--sort=creatordate", "--format=%(objectname) %(refname)", "refs/exps", cwd=repository
    )
    refs = (line.split(" ", 1) for line in listed.splitlines())
    return {ref.split("/", 4)[4]: commit for commit, ref in refs if ref.count("/") >= 4}


def resolve(repository: Path, revision: str) -> str:
    """The commit that a git revision or the name of a DVC experiment stands for.

    Raises:
        UserError: neither is called that.
    """
    known = experiments(repository).get(revision)
    return known or call("git", "rev-parse", "--verify", f"{revision}^{{commit}}", cwd=repository).strip()


@contextmanager
def clean_copy(repository: Path, revision: str, share_cache: bool) -> Iterator[Path]:
    """A clone of `repository` at `revision` in a temporary folder, with DVC's cache shared or empty."""
    commit = resolve(repository, revision)
    with tempfile.TemporaryDirectory(prefix="face-emotions-") as folder:
        copy = Path(folder) / "repository"
        call("git", "init", "-q", str(copy), cwd=repository)
        call("git", "fetch", "-q", str(repository), commit, cwd=copy)
        call("git", "checkout", "-q", "FETCH_HEAD", cwd=copy)
        if share_cache:
            cache = call("dvc", "cache", "dir", cwd=repository).strip()
            call("dvc", "cache", "dir", "--local", cache, cwd=copy)
            call("dvc", "checkout", "-q", cwd=copy)
        yield copy


def get(repository: Path, commit: str, paths: Iterable[Path], folder: Path) -> list[Path]:
    """Copies of what DVC holds as `paths` in that commit, in `folder`.

    Raises:
        UserError: that commit has no such output, or neither the cache nor a remote has its content.
    """
    from dvc.api import DVCFileSystem  # takes a second

    system = DVCFileSystem(str(repository), rev=commit)
    copies = [folder / path.name for path in paths]
    for path, copy in zip(paths, copies, strict=True):
        try:
            system.get_file(path.as_posix(), str(copy))
        except FileNotFoundError as error:
            raise UserError(
                f"{path} of {commit[:10]} is not to be had: that commit has none, or DVC's cache lacks it (dvc fetch)"
            ) from error
    return copies
