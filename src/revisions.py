"""Clean copies of a commit or a DVC experiment, outside the working tree, sharing DVC's cache or not.

The project need not be all of the git repository: it may lie in a folder of it. `repository` is always the project's.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from src.core import pinning
from src.errors import UserError

# With these a git hook tells git where the repository is. Its commands are to find the one they are called in.
GIT_HOOK = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}


class UnknownRevision(UserError):
    """Git works, but what was asked for is neither one of its revisions nor a DVC experiment."""


def call(*command: str, cwd: Path, capture: bool = True, **environment: str) -> str:
    """Runs git, dvc or python (that of this environment) and returns what it prints.

    Raises:
        UserError: the command fails; with the end of what it said.
    """
    tools = Path(sys.executable).parent
    path = f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"
    # Not what a surrounding `dvc exp run` has set: the copy is a repository of its own.
    inherited = pinning.of_caller().items()
    ours = {name: value for name, value in inherited if not name.startswith("DVC_") and name not in GIT_HOOK}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=ours | {"PATH": path} | environment,
        text=True,
        errors="surrogateescape",
        capture_output=capture,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:] if capture else ""
        if command[0] == "git":  # on one line
            said = " ".join(said.split())
        raise UserError(f"{' '.join(command)} failed with status {done.returncode}{said and f': {said}'}")
    return done.stdout or ""


def experiments(repository: Path) -> dict[str, str]:
    """DVC's experiments: name -> commit, the newest where several baselines have one of that name."""
    return {name: commits[0] for name, commits in all_experiments(repository).items()}


def all_experiments(repository: Path) -> dict[str, list[str]]:
    """Name -> commits of DVC's experiments, one for each baseline that has one of that name, the newest first."""
    found: dict[str, list[str]] = {}
    for name, commit in _experiments(repository, "refs/exps"):
        found.setdefault(name, []).append(commit)
    return found


def experiments_of(repository: Path, baseline: str) -> dict[str, str]:
    """Those that began from one commit: name -> commit."""
    return dict(_experiments(repository, f"refs/exps/{baseline[:2]}/{baseline[2:]}"))


def _experiments(repository: Path, refs: str) -> Iterator[tuple[str, str]]:
    """(name, commit); DVC keeps an experiment as refs/exps/<2 digits>/<38 digits of its baseline>/<name>."""
    form = "--format=%(objectname) %(refname)"
    for line in call("git", "for-each-ref", "--sort=-creatordate", form, refs, cwd=repository).splitlines():
        commit, ref = line.split(" ", 1)
        if ref.count("/") >= 4:
            yield ref.split("/", 4)[4], commit


def texts(repository: Path, commit: str, names: Sequence[str]) -> dict[str, str]:
    """What the project's files of these names hold in that commit; a process of git for each would take longer.

    Raises:
        UserError: there is no such commit, or no such file in it.
    """
    from pygit2 import Blob, Commit, GitError, Repository, discover_repository

    try:
        git = Repository(discover_repository(str(repository)) or str(repository))
        found, inside = git[commit].peel(Commit), repository.resolve().relative_to(Path(git.workdir).resolve())
        return {name: found.tree[(inside / name).as_posix()].peel(Blob).data.decode() for name in names}
    except (GitError, KeyError) as error:
        raise UserError(f"{commit[:10]} cannot be read: {error.args[0]}") from error


def resolve(repository: Path, revision: str) -> str:
    """The commit that a git revision or the name of a DVC experiment stands for.

    Raises:
        UnknownRevision: neither is called that.
        UserError: both are, and are not the same; or git itself fails.
    """
    experiment = experiments(repository).get(revision)
    commit = _commit(repository, revision)
    if experiment and commit and experiment != commit:
        raise UserError(
            f"{revision} is a DVC experiment and a git revision too; say which by its commit: {experiment[:10]} is the "
            f"experiment, {commit[:10]} the revision"
        )
    if not (found := experiment or commit):
        raise UnknownRevision(f"{revision} is neither a DVC experiment nor a git revision{_why_few(repository)}")
    return found


def _commit(repository: Path, revision: str) -> str | None:
    """The commit that git knows by this name; none is also what git says where it fails, so call others before."""
    verify = ("git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    try:
        commit = call(*verify, cwd=repository).strip()
    except UserError:
        return None
    return commit if commit.isalnum() else None  # ^HEAD is all but that commit


def is_shallow(repository: Path) -> bool:
    """Whether the clone has only the newest commits, as CI makes it."""
    return call("git", "rev-parse", "--is-shallow-repository", cwd=repository).strip() == "true"


def _why_few(repository: Path) -> str:
    if is_shallow(repository):
        return "; this clone is shallow, more come with: git fetch --unshallow"
    return "" if _commit(repository, "HEAD") else "; there is no commit yet"


@contextmanager
def clean_copy(repository: Path, revision: str, share_cache: bool) -> Iterator[Path]:
    """The project in a clone at `revision` in a temporary folder, with DVC's cache shared or empty.

    Raises:
        UserError: there is no such revision, or the project is not part of it.
    """
    commit = resolve(repository, revision)
    top = call("git", "rev-parse", "--show-toplevel", cwd=repository).removesuffix("\n")
    inside = call("git", "rev-parse", "--show-prefix", cwd=repository).removesuffix("\n")
    with tempfile.TemporaryDirectory(prefix="face-emotions-") as folder:
        clone = Path(folder) / "repository"
        call("git", "init", "-q", str(clone), cwd=repository)
        # One commit deep, as a shallow clone has no more to give. Any commit can be asked for since protocol 2.
        call("git", "-c", "protocol.version=2", "fetch", "-q", "--depth=1", top, commit, cwd=clone)
        call("git", "checkout", "-q", "FETCH_HEAD", cwd=clone)
        copy = clone / inside
        if not (copy / "dvc.yaml").is_file():
            raise UserError(f"{revision} has no {inside}dvc.yaml; it is from before this project, or of another")
        if share_cache:
            use_cache_of(repository, copy)
            call("dvc", "checkout", "-q", cwd=copy)
        yield copy


def use_cache_of(repository: Path, copy: Path) -> None:
    """Gives `copy`, a clone, the cache of `repository`: by a link, as DVC cannot write every path into its config."""
    cache = call("dvc", "cache", "dir", cwd=repository).removesuffix("\n")
    Path(cache).mkdir(parents=True, exist_ok=True)
    (copy / ".dvc/cache").symlink_to(cache)
    call("dvc", "cache", "dir", "--local", ".dvc/cache", cwd=copy)


def get(repository: Path, commit: str, paths: Sequence[Path], folder: Path) -> list[Path]:
    """Copies of what DVC holds as `paths` in that commit, in `folder`.

    Raises:
        UserError: that commit has no such output, or neither the cache nor a remote has its content.
    """
    from dvc.api import DVCFileSystem  # takes a second
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    copies = [folder / path.name for path in paths]
    try:
        # Not DVCFileSystem's own `rev`, which looks for the project at the top of the git repository.
        with Repo(str(repository)) as project, project.switch(commit):
            system = DVCFileSystem(project)
            for path, copy in zip(paths, copies, strict=True):
                try:
                    system.get_file(f"/{path.as_posix()}", str(copy))
                except FileNotFoundError as error:
                    raise UserError(
                        f"{path} of {commit[:10]} is not to be had: that commit has none, or DVC's cache lacks it "
                        "(dvc fetch)"
                    ) from error
    except DvcException as error:
        raise UserError(f"what DVC holds in {commit[:10]} is not to be had: {error}") from error
    return copies


def outputs(lock: dict[str, Any]) -> dict[str, str]:
    """Path -> hash of every output in what a dvc.lock holds."""
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
