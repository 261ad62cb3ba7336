"""What the machines of a cluster share: a git remote with code and experiments, DVC's remote, and an MLflow server."""

import json
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from src import environment, revisions
from src.core.files import write_json
from src.errors import UserError
from src.report import grid, rows
from src.revisions import call, resolve

HUB = "origin"
COMPUTES = (".dvc/config", "dvc.yaml", "params.yaml", "libraries.yaml", "src", "label_errors")
# Options of DVC's remotes that are, or hold, what opens a store.
SECRET = {
    *("access_key_id", "secret_access_key", "session_token", "sse_customer_key"),  # S3
    *("account_key", "client_secret", "connection_string", "sas_token", "gdrive_client_secret", "oss_key_secret"),
    *("custom_auth_header", "passphrase", "password", "token"),  # HTTP, SSH, WebDAV
}


class Shared(NamedTuple):
    """One commit, seen from a clone of it."""

    clone: Path
    commit: str
    hub: str  # a git URL
    mlflow: str  # the server's address

    @property
    def folder(self) -> str:
        """Where DVC keeps the experiments of this commit in refs/exps, and we the environments in refs/environments."""
        return f"{self.commit[:2]}/{self.commit[2:]}"

    def fetch(self) -> None:
        """Brings the experiments that the hub has of this commit, and in which environments they were trained."""
        kinds = (f"refs/{kind}/{self.folder}/*" for kind in ("exps", "environments"))
        try:
            call("git", "fetch", "--quiet", HUB, *(f"+{refs}:{refs}" for refs in kinds), cwd=self.clone)
        except UserError as error:
            raise UserError(f"the git remote {HUB}: {str(error).partition(' failed with ')[2]}") from error
        place = f"refs/environments/{self.folder}"
        keys = call("git", "for-each-ref", "--format=%(refname:lstrip=4)", place, cwd=self.clone).split()
        for key in keys:
            if not environment.noted(key).exists():
                noted = json.loads(call("git", "cat-file", "blob", f"{place}/{key}", cwd=self.clone))
                write_json(environment.noted(key), noted)

    def push(self, name: str, key: str) -> None:
        """Pushes an experiment, whose training has that key: its data first, as others take the ref for all of it.

        `dvc exp push` alone pushes the ref before the data.
        """
        call("dvc", "push", cwd=self.clone)  # not --quiet, which takes from DVC's errors what they say
        noted = str(environment.noted(key))
        if environment.of_training(key):  # none if DVC had the model in its cache
            blob = call("git", "hash-object", "-w", noted, cwd=self.clone).strip()
            there = f"refs/environments/{self.folder}/{key}"
            call("git", "push", "--quiet", "--force", HUB, f"{blob}:{there}", cwd=self.clone)
        call("dvc", "exp", "push", "--force", "--no-cache", HUB, name, cwd=self.clone)

    def has(self, name: str, digest: str) -> bool:
        """Whether the hub has an experiment of that name with params of that digest."""
        ref = f"refs/exps/{self.folder}/{name}"
        if not call("git", "ls-remote", HUB, ref, cwd=self.clone):
            return False
        call("git", "fetch", "--quiet", HUB, ref, cwd=self.clone)
        commit = call("git", "rev-parse", "FETCH_HEAD", cwd=self.clone).strip()
        text = revisions.texts(self.clone, commit, ["params.yaml"])["params.yaml"]
        return grid.digest(rows.params_of(text, name)) == digest

    def forget(self, name: str, commit: str) -> None:
        """Removes an experiment, which has other params or is of another program, here and from the hub.

        Raises:
            UserError: the hub has another one than that commit by now.
        """
        ref = f"refs/exps/{self.folder}/{name}"
        if call("git", "ls-remote", HUB, ref, cwd=self.clone):
            call("git", "push", "--quiet", f"--force-with-lease={ref}:{commit}", HUB, f":{ref}", cwd=self.clone)
        call("git", "update-ref", "-d", ref, cwd=self.clone)


def found(clone: Path) -> Shared:
    """What is shared of the commit that is checked out.

    Raises:
        UserError: nodes could not work with it: its remote lacks the commit, code or params are not committed, DVC has
            no remote that everybody knows, MLflow is no server, or an address or .dvc/config holds a password.
    """
    try:
        hub = call("git", "remote", "get-url", HUB, cwd=clone).strip()
    except UserError as error:
        raise UserError(f"nodes fetch the code from the git remote {HUB}, and there is none: git remote add") from error
    hub = str(Path(hub).resolve()) if Path(hub).exists() else hub
    _check_public(f"the git remote {HUB}", hub, "use SSH, or a credential helper of git on every node")
    if changed := call("git", "status", "--porcelain", "--", *COMPUTES, cwd=clone):
        raise UserError(f"nodes run what is committed, and {changed.split()[1]} is not: commit it and push it")
    commit = resolve(clone, "HEAD")
    call("git", "fetch", "--quiet", HUB, cwd=clone)
    if not call("git", "branch", "--remotes", "--contains", commit, "--list", f"{HUB}/*", cwd=clone):
        raise UserError(f"nodes fetch {commit[:10]} from {HUB}, which does not have it: git push")
    _check_remote(clone)
    return Shared(clone, commit, hub, _server())


def _check_remote(clone: Path) -> None:
    lines = call("dvc", "config", "--list", "--project", cwd=clone).splitlines()
    config = dict(line.split("=", 1) for line in lines if "=" in line)
    if not config.get("core.remote"):
        raise UserError(
            "nodes keep data and checkpoints in DVC's remote, and .dvc/config, in git, names none: "
            "dvc remote add --default NAME URL, commit it and push it"
        )
    for name, value in config.items():
        if name.endswith(".url"):
            _check_public(f"{name} in .dvc/config", value, "every node needs credentials of its own")
        if name.split(".")[-1] in SECRET:
            raise UserError(
                f".dvc/config has {name}, for everybody to see; every node needs credentials of its own, and "
                f"`dvc config --unset {name}` takes it out"
            )


def _server() -> str:
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    if urlsplit(address).scheme not in ("http", "https"):
        raise UserError("nodes log to an MLflow server, and MLFLOW_TRACKING_URI names none; docs/remotes.md starts one")
    _check_public("MLFLOW_TRACKING_URI", address, "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD on every node")
    return address


def _check_public(what: str, address: str, instead: str) -> None:
    parts = urlsplit(address)
    if parts.password or (parts.username and parts.scheme in ("http", "https")):  # a token may stand as the name
        raise UserError(f"{what} holds a password, which everybody could read; instead, {instead}")
