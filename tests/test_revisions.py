"""Revisions and clean copies, wherever in git the project lies and however it was cloned."""

import csv
import io
import shutil
import subprocess
from pathlib import Path

import mlflow
import pytest

from src.errors import UserError
from src.revisions import UnknownRevision, clean_copy, get, resolve, texts
from tests.conftest import Clone, clone_of

ODD = '50% of "it" [b]'
ODDER = f"{ODD}'s ü #1"  # in which `dvc exp run --temp` and MLflow's own migrations fail


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def project_in(top: Path, inside: str = ".") -> Path:
    """A repository of three commits; from the second on a project is in it, which the third changes."""
    git(top.parent, "init", "-q", "-b", "main", str(top))
    project = top / inside
    project.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(("note", "dvc.yaml", "dvc.yaml"), 1):
        (project / name).write_text(f"{number}")
        git(top, "add", "-A")
        git(top, "commit", "-qm", f"commit {number}")
    return project


def make_experiment(project: Path, name: str, commit: str) -> None:
    """As `dvc exp run` keeps one: a ref that holds its baseline's hash in its name."""
    baseline = git(project, "rev-parse", "HEAD")
    git(project, "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", commit)


@pytest.fixture
def project(tmp_path) -> Path:
    return project_in(tmp_path / "project")


def test_a_revision_is_found_by_every_name_that_git_has_for_it(project):
    head, before = git(project, "rev-parse", "HEAD"), git(project, "rev-parse", "HEAD~1")
    git(project, "tag", "-am", "annotated", "v1")
    for name in ("HEAD", "main", "v1", head, head[:8]):
        assert resolve(project, name) == head
    git(project, "checkout", "-q", "--detach", "HEAD~1")
    assert resolve(project, "HEAD") == before
    make_experiment(project, "four-layers", head)
    assert resolve(project, "four-layers") == head


@pytest.mark.parametrize("name", ["nobody", "-x", "--all", "--show-toplevel", "HEAD~7", "HEAD..main", "^HEAD"])
def test_what_is_no_revision_is_said_to_be_none(project, name):
    with pytest.raises(UnknownRevision) as raised:
        resolve(project, name)
    assert str(raised.value) == f"{name} is neither a DVC experiment nor a git revision"


def test_a_name_of_an_experiment_and_of_a_branch_is_not_guessed(project):
    head, before = git(project, "rev-parse", "HEAD"), git(project, "rev-parse", "HEAD~1")
    make_experiment(project, "main", before)
    with pytest.raises(UserError, match=f"main is a DVC experiment and a git revision too.*{before[:10]}.*{head[:10]}"):
        resolve(project, "main")
    make_experiment(project, "main", head)
    assert resolve(project, "main") == head


def test_where_git_itself_fails_its_own_words_are_told_on_one_line(tmp_path):
    with pytest.raises(UserError) as raised:
        resolve(tmp_path, "HEAD")
    assert "fatal: not a git repository" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not isinstance(raised.value, UnknownRevision)
    damaged = project_in(tmp_path / "damaged")
    (damaged / ".git/config").write_text("[core")
    with pytest.raises(UserError, match=r"fatal: bad config line \d") as raised:
        resolve(damaged, "HEAD")
    assert not isinstance(raised.value, UnknownRevision)


def test_a_repository_without_a_commit_says_so(tmp_path):
    git(tmp_path, "init", "-q")
    with pytest.raises(UnknownRevision, match=r"HEAD is neither .* nor a git revision; there is no commit yet"):
        resolve(tmp_path, "HEAD")


def test_a_shallow_clone_says_why_it_knows_no_older_revision(project, tmp_path):
    git(tmp_path, "clone", "-q", "--depth=1", project.as_uri(), "shallow")
    assert resolve(tmp_path / "shallow", "HEAD") == git(project, "rev-parse", "HEAD")
    with pytest.raises(UnknownRevision, match="this clone is shallow, more come with: git fetch --unshallow"):
        resolve(tmp_path / "shallow", "HEAD~1")


@pytest.mark.parametrize("inside", [".", "sub/project", f"{ODDER}/project"])
@pytest.mark.parametrize("kind", ["whole", "shallow", "worktree", "detached"])
def test_a_clean_copy_is_the_project_at_that_commit(tmp_path, inside, kind):
    original = project_in(tmp_path / ODDER, inside)
    top = tmp_path / "other"
    if kind == "shallow":
        git(tmp_path, "clone", "-q", "--depth=1", (tmp_path / ODDER).as_uri(), "other")
    elif kind == "worktree":
        git(tmp_path / ODDER, "worktree", "add", "-q", "-b", "other", str(top))
    else:
        top = tmp_path / ODDER
    if kind == "detached":
        git(top, "checkout", "-q", "--detach")
    project = top / inside
    (project / "dvc.yaml").write_text("changed, not committed")
    with clean_copy(project, "HEAD", share_cache=False) as copy:
        assert (copy / "dvc.yaml").read_text() == "3"
        assert git(copy, "rev-parse", "HEAD") == git(original, "rev-parse", "HEAD")
        assert not copy.is_relative_to(tmp_path)
    assert not copy.exists()
    commit = git(project, "rev-parse", "HEAD")
    assert texts(project, commit, ["dvc.yaml"]) == {"dvc.yaml": "3"}
    with pytest.raises(UserError, match=f"{commit[:10]} cannot be read: .*none.yaml"):
        texts(project, commit, ["none.yaml"])
    with pytest.raises(UserError, match=r"eeeeeeeeee cannot be read: .*eeeeeeee"):
        texts(project, "e" * 40, ["dvc.yaml"])


def test_a_clean_copy_of_any_commit_but_one_without_the_project(project):
    with clean_copy(project, "HEAD~1", share_cache=False) as copy:
        assert (copy / "dvc.yaml").read_text() == "2"
    with (
        pytest.raises(UserError, match=r"HEAD~2 has no dvc\.yaml; it is from before this project"),
        clean_copy(project, "HEAD~2", share_cache=False),
    ):
        pass


def test_a_git_hook_does_not_lead_a_copy_astray(project, tmp_path, monkeypatch):
    """Git tells its hooks in variables where the repository is; the copy is another one."""
    other = project_in(tmp_path / "other")
    git(other, "commit", "-q", "--amend", "-m", "another hash")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    with clean_copy(project, "HEAD", share_cache=False) as copy:
        monkeypatch.delenv("GIT_DIR")
        monkeypatch.delenv("GIT_INDEX_FILE")
        assert git(copy, "rev-parse", "HEAD") == git(project, "rev-parse", "HEAD")
    assert git(other, "status", "--porcelain") == ""


def test_what_dvc_holds_of_a_commit_is_had_from_a_copy_and_without_one(tmp_path):
    """In a folder of a repository, with the real DVC, whose config cannot hold every path."""
    project = project_in(tmp_path / ODDER, "sub/project")
    clone = Clone(project)
    (project / "dvc.yaml").write_text("stages: {}\n")
    (project / "data").write_text("then")
    clone.run("dvc", "init", "-q", "--subdir")
    clone.run("dvc", "add", "-q", "data")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "data")
    (project / "data").write_text("now")
    with clean_copy(project, "HEAD", share_cache=True) as copy:
        assert (copy / "data").read_text() == "then"
    commit = resolve(project, "HEAD")
    assert [path.read_text() for path in get(project, commit, [Path("data")], tmp_path)] == ["then"]
    with pytest.raises(UserError, match=f"other of {commit[:10]} is not to be had: that commit has none"):
        get(project, commit, [Path("other")], tmp_path)


def test_verify_needs_committed_results(small, tmp_path):
    clone = clone_of(small.path, tmp_path / "clone")
    clone.run("git", "rm", "-q", "dvc.lock")
    clone.commit("no results")
    failed = clone.run("python", "-m", "src.verify", ok=False)
    assert failed.returncode == 1
    assert failed.stderr == "error: HEAD has no dvc.lock, so nothing to compare with; commit what dvc repro writes\n"


GRID = "data: tiny drawn faces\nparams: {epochs: 1}\ncells:\n  - {dataset: ai, seed: 5}\n"


@pytest.fixture(scope="module")
def monorepo(reproduced, tmp_path_factory) -> Clone:
    """The reproduced project as a folder of a larger and older repository, in a place with an odd name."""
    top = tmp_path_factory.mktemp("outer") / ODD
    git(top.parent, "init", "-q", str(top))
    git(top, "commit", "-qm", "older", "--allow-empty")
    left_out = shutil.ignore_patterns(".git", "mlflow.db", "mlruns", ".checkpoints", "tmp")
    shutil.copytree(reproduced.path, top / "sub/project", ignore=left_out)
    (top / "sub/project/tiny").mkdir()
    (top / "sub/project/tiny/grid.yaml").write_text(GRID)
    project = identified(top)
    project.commit("all")
    return project


def identified(top: Path) -> Clone:
    git(top, "config", "user.name", "Test")
    git(top, "config", "user.email", "test@example.com")
    return Clone(top / "sub/project")


def predicted(project: Clone, run: str) -> list[str]:
    done = project.run("python", "-m", "src.predict", "--cropped", "--csv", "--run", run, "docs/images/faces_416.png")
    return [row["label"] for row in csv.DictReader(io.StringIO(done.stdout))]


def runs_of(project: Clone) -> dict[str, str]:
    """Name -> status of every run in the project's own database."""
    client = mlflow.MlflowClient(f"sqlite:///{(project.path / 'mlflow.db').as_posix()}")
    experiment = client.get_experiment_by_name("face-emotions")
    return {run.info.run_name: run.info.status for run in client.search_runs([experiment.experiment_id])}


@pytest.mark.slow
def test_every_command_works_in_a_folder_of_a_larger_repository(monorepo):
    assert "up to date" in monorepo.run("dvc", "repro").stdout
    monorepo.run("dvc", "exp", "run", "--temp", "-n", "other", "-S", "epochs=1")
    assert runs_of(monorepo) == {"other": "FINISHED"}
    assert [len(predicted(monorepo, run)) for run in ("HEAD", "other")] == [1, 1]
    monorepo.run("python", "-m", "src.sync")
    assert sorted(runs_of(monorepo)) == ["ai conv3 seed1", "other"]
    assert monorepo.run("python", "-m", "src.report", "tiny").stdout.endswith("1 of 1 cells\n")
    rows = list(csv.DictReader((monorepo.path / "tiny/cells.csv").open()))
    assert [row["commit"] for row in rows] == [resolve(monorepo.path, "HEAD")[:10]]
    assert "identical: all 20 outputs" in monorepo.run("python", "-m", "src.verify").stdout
    assert "dvc.lock" not in monorepo.run("git", "status", "--porcelain").stdout


@pytest.mark.slow
def test_every_command_works_in_a_shallow_clone(monorepo, tmp_path):
    git(tmp_path, "clone", "-q", "--depth=1", monorepo.path.parents[1].as_uri(), "shallow")
    project = identified(tmp_path / "shallow")
    (project.path / ".dvc/cache").symlink_to(monorepo.path / ".dvc/cache")
    project.run("dvc", "checkout", "-q")
    assert "up to date" in project.run("dvc", "repro").stdout
    project.run("dvc", "exp", "run", "--temp", "-n", "lost", "-S", "epochs=1", "-S", "seed=6")
    assert runs_of(project) == {"lost": "FINISHED"}  # DVC itself loses it, as the next one shows
    failed = project.run("python", "-m", "src.report", "tiny", ok=False)
    assert (
        "this clone is shallow, and in such a one DVC loses what its queue ran: git fetch --unshallow" in failed.stderr
    )
    project.run("dvc", "exp", "run", "-n", "other", "-S", "epochs=1")
    project.run("git", "checkout", "-q", ".")
    project.run("dvc", "checkout", "-q")
    assert [len(predicted(project, run)) for run in ("HEAD", "other", "lost")] == [1, 1, 1]
    project.run("python", "-m", "src.sync")
    assert sorted(runs_of(project)) == ["ai conv3 seed1", "lost", "other"]
    assert "identical: all 20 outputs" in project.run("python", "-m", "src.verify").stdout
    git(project.path, "fetch", "-q", "--unshallow")
    assert project.run("python", "-m", "src.report", "tiny").stdout.endswith("1 of 1 cells\n")
