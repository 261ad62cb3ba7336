"""What runs shell commands on the machines of a cluster. That a command has ended says nothing of how: the row does."""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from src.errors import UserError

REASON = 200  # characters of what Ray says, which may be a page of traceback
LOGS = ".cells"  # Slurm's, in the working directory
WAITING = 1000  # commands that Slurm may have at a time; a site's own limit is seldom lower
OTHER = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")  # which Ray's client prefers to what it is given
CORES = "cores"  # in a job's metadata, as Ray does not tell how many it has


class Engine(Protocol):
    """Every method raises a UserError when the cluster does not answer."""

    def alive(self) -> set[str]:
        """The names of commands that wait or run, whoever submitted them."""
        ...

    def free(self) -> int:
        """How many cores wait for commands."""
        ...

    def submit(self, name: str, command: str, cores: int) -> None:
        """Starts a command on any machine with so many free cores, unless one of that name is alive."""
        ...

    def logs(self, name: str) -> str:
        """What shows what the command printed."""
        ...


class Ray:
    """Jobs of a Ray cluster: https://docs.ray.io/en/latest/cluster/running-applications/job-submission/

    A job lives on when who submitted it ends, and is not tried again when its node dies.

    Args:
        address: host and port of the dashboard of Ray's head.
    """

    def __init__(self, address: str):
        try:
            from ray.job_submission import JobSubmissionClient
        except ImportError as error:
            raise UserError("--workers ray:… needs Ray: make cluster") from error
        if other := next((name for name in OTHER if os.environ.get(name)), None):
            raise UserError(f"{other} is set, which Ray would take in place of {address}: unset it")
        self._address = f"http://{address}"
        self._client = self._asked(JobSubmissionClient, self._address)

    def alive(self) -> set[str]:
        return {job.submission_id for job in self._asked(self._client.list_jobs) if not job.status.is_terminal()}

    def free(self) -> int:
        cores = self._cores()
        jobs = [job for job in self._asked(self._client.list_jobs) if not job.status.is_terminal()]
        return sum(cores) - sum(int((job.metadata or {}).get(CORES, 1)) for job in jobs)

    def submit(self, name: str, command: str, cores: int) -> None:
        largest = max(self._cores(), default=0)
        if cores > largest:
            raise UserError(f"{name} needs {cores} cores, its param threads, and Ray's largest node has {largest}")
        with suppress(UserError):  # there is none of that name, or it is alive
            self._asked(self._client.delete_job, name)
        options = {"entrypoint_num_cpus": cores, "metadata": {CORES: str(cores)}}
        try:
            self._asked(self._client.submit_job, entrypoint=command, submission_id=name, **options)
        except UserError:
            if name not in self.alive():  # another head was sooner
                raise

    def _cores(self) -> list[int]:
        """Of each node that lives."""
        from ray.util.state import list_nodes

        options = {"limit": 10_000, "detail": True, "raise_on_missing_output": False}  # it counts dead nodes as missing
        nodes = self._asked(list_nodes, self._address, filters=[("state", "=", "ALIVE")], **options)
        return [int(node.resources_total.get("CPU", 0)) for node in nodes]

    def logs(self, name: str) -> str:
        return f"ray job logs --address {self._address} {name}"

    def _asked(self, what: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        from ray.util.state.exception import RayStateApiException

        try:
            return what(*arguments, **named)
        except (OSError, RuntimeError, RayStateApiException) as error:  # OSError: whatever requests raises
            raise UserError(f"Ray at {self._address} fails: {' '.join(str(error).split())[:REASON]}") from error


class Slurm:
    """Batch jobs of a Slurm partition: https://slurm.schedmd.com/sbatch.html

    Slurm itself begins a job again whose node dies. Jobs start without the submitter's environment, which may hold
    passwords.
    """

    def __init__(self, partition: str):
        self._partition = partition
        self.alive()

    def alive(self) -> set[str]:
        return set(self._call("squeue", "--me", "--noheader", "--format=%j", f"--partition={self._partition}").split())

    def free(self) -> int:
        return WAITING - len(self.alive())

    def submit(self, name: str, command: str, cores: int) -> None:
        Path(LOGS).mkdir(exist_ok=True)
        self._call(
            *("sbatch", "--requeue", "--export=NONE", f"--partition={self._partition}", f"--job-name={name}"),
            # Two heads may submit a cell at once; the second then finds what the first has pushed.
            *("--dependency=singleton", f"--cpus-per-task={cores}", f"--output={LOGS}/%x.out", f"--wrap={command}"),
        )

    def logs(self, name: str) -> str:
        return f"cat {LOGS}/{name}.out"

    def _call(self, *command: str) -> str:
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        except FileNotFoundError as error:
            raise UserError(
                f"--workers slurm:… needs {command[0]} on PATH, as on a login node of the cluster"
            ) from error
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise UserError(f"{command[0]} fails: {' '.join(str(error.stderr or error).split())}") from error


Workers = int | Engine  # experiments at a time on this machine, or what runs them elsewhere


def workers(text: str) -> Workers:
    """What `text` names: a number, ray:HOST:PORT or slurm:PARTITION.

    Raises:
        UserError: none of these, or the cluster does not answer.
    """
    kind, _, address = text.partition(":")
    if address and kind in ("ray", "slurm"):
        return Ray(address) if kind == "ray" else Slurm(address)
    if text.isdecimal() and int(text):
        return int(text)
    raise UserError(f"--workers {text}: give a number, ray:HOST:PORT or slurm:PARTITION")
