"""What a cluster needs is looked for before anything is submitted, and each lack is named with its mend."""

import subprocess
import sys

import pytest

from src import params
from src.errors import UserError
from src.report import engines, grid, shared
from tests.conftest import Clone, environment, fresh

SERVER = "http://mlflow.example:5000"


@pytest.fixture
def clone(small, tmp_path, monkeypatch) -> Clone:
    """One whose nodes could work: pushed, with a remote of DVC, and a server named."""
    bare = tmp_path / "hub.git"
    subprocess.run(["git", "clone", "-q", "--bare", small.path, bare], check=True)
    clone = fresh(Clone(bare), tmp_path / "clone")
    clone.run("dvc", "remote", "add", "--default", "s3", "s3://faces")
    clone.commit("a remote")
    clone.run("git", "push", "-q")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    return clone


def refused(clone: Clone) -> str:
    with pytest.raises(UserError) as error:
        shared.found(clone.path)
    return str(error.value)


def test_what_is_complete_is_found(clone):
    found = shared.found(clone.path)
    assert found.hub == clone.run("git", "remote", "get-url", "origin").stdout.strip()
    assert (found.commit, found.mlflow) == (clone.run("git", "rev-parse", "HEAD").stdout.strip(), SERVER)


def test_code_that_nodes_cannot_fetch(clone):
    clone.commit("not pushed")
    assert refused(clone).endswith("git push")
    (clone.path / "src/new.py").touch()
    assert "src/new.py is not: commit it" in refused(clone)
    clone.run("git", "remote", "remove", "origin")
    assert "git remote add" in refused(clone)


@pytest.mark.parametrize("address", ["", "sqlite:///mlflow.db", "mlruns", "postgresql://mlflow@127.0.0.1/mlflow"])
def test_a_store_that_is_no_server(clone, monkeypatch, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert "MLFLOW_TRACKING_URI" in refused(clone)


def test_addresses_that_hold_passwords_are_not_shown_to_everybody(clone, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:hidden@mlflow.example")
    assert "MLFLOW_TRACKING_PASSWORD" in (said := refused(clone)) and "hidden" not in said
    for login in ("me:hidden", "hidden"):  # a token may stand as the name
        clone.run("git", "remote", "set-url", "origin", f"https://{login}@git.example/faces.git")
        assert "origin holds a password" in (said := refused(clone)) and "hidden" not in said


def test_dvcs_remote_is_in_git_and_its_password_is_not(clone):
    clone.run("dvc", "remote", "modify", "s3", "secret_access_key", "hidden")
    clone.commit("a mistake")
    clone.run("git", "push", "-q")
    assert "dvc config --unset remote.s3.secret_access_key" in (said := refused(clone)) and "hidden" not in said
    clone.run("dvc", "config", "--unset", "remote.s3.secret_access_key")
    clone.run("dvc", "remote", "modify", "s3", "url", "https://me:hidden@store.example/faces")
    assert ".dvc/config is not: commit it" in refused(clone)
    clone.commit("another mistake")
    clone.run("git", "push", "-q")
    assert "remote.s3.url in .dvc/config holds a password" in (said := refused(clone)) and "hidden" not in said
    clone.run("dvc", "remote", "remove", "s3")
    clone.run("dvc", "remote", "add", "--local", "--default", "s3", "s3://faces")  # this clone's alone
    clone.commit("without")
    clone.run("git", "push", "-q")
    assert "dvc remote add --default" in refused(clone)


def test_an_experiment_of_a_name_is_had_when_its_params_are_the_cells_and_forgotten_only_as_it_was_read(clone):
    found = shared.found(clone.path)
    ref = f"refs/exps/{found.folder}/one"
    clone.run("git", "push", "-q", "origin", f"HEAD:{ref}")
    own = grid.digest(params.load(clone.path / "params.yaml"))
    assert found.has("one", own)
    assert not found.has("one", "0" * 16)
    assert not found.has("two", own)
    with pytest.raises(UserError, match="stale"):  # another head has put another one there
        found.forget("one", clone.run("git", "rev-parse", "HEAD~").stdout.strip())
    assert found.has("one", own)
    found.forget("one", found.commit)
    assert not found.has("one", own)


@pytest.mark.parametrize("workers", ["0", "-1", "two", "ray", "ray:", "slurm:", "kubernetes:here", "2:3"])
def test_workers_are_a_number_or_a_known_engine(workers):
    with pytest.raises(UserError, match="give a number, ray:HOST:PORT or slurm:PARTITION"):
        engines.workers(workers)


def test_a_cluster_that_is_not_there_ends_the_command_with_a_line():
    command = [sys.executable, "-m", "src.report", "--workers", "slurm:none"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment() | {"PATH": ""})
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "squeue" in done.stderr
