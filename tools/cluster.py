"""A cluster on this machine, of real parts, to try one with: python -m tools.cluster FOLDER

In FOLDER: a bare git repository with the commit that is checked out here, PostgreSQL, an S3 store (JuiceFS's gateway,
which is MinIO's code, with its metadata in PostgreSQL), an MLflow server, and Ray, or Slurm with --slurm: a head and
two nodes of one core, each with a clone of its own. It prints what is to be typed, runs until Ctrl-C and leaves FOLDER.
"""

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import requests

HERE = Path(__file__).resolve().parents[1]
PATH = f"{HERE}/.venv/bin{os.pathsep}{os.environ['PATH']}"
BUCKET = "face-emotions"
WAIT = 120  # seconds for a service to answer
SLURM = """ClusterName=faces
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/slurm-%n
SlurmUser=root
StateSaveLocation={folder}/slurm-state
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/prolog
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SlurmdTimeout=20
ReturnToService=2
NodeName=node-0 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=1
NodeName=node-1 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=1
PartitionName=faces Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
# It prints what jobs find in their environment: they begin without that of who submits them.
PROLOG = """#!/bin/sh
echo "export FACE_EMOTIONS_HOME={folder}/$SLURMD_NODENAME"
echo "export AWS_SHARED_CREDENTIALS_FILE={folder}/credentials"
"""
HEAD, NODES = "127.0.0.2", ("127.0.0.3", "127.0.0.4")  # of Ray, which takes 127.0.0.1 for no address of a node
SLURMS = ("slurmctld", "slurmd-0", "slurmd-1")
PASSWORD = secrets.token_hex(16)


class Cluster:
    """Services, each a process group of its own with its log in the folder.

    Args:
        folder: of all its files; when root starts it, everybody must be able to reach it, as PostgreSQL refuses root.
        project: a git repository whose commit the nodes run.
        slurm: instead of Ray; root alone can start it.
        cores: that each node of Ray has, by name.
    """

    def __init__(self, folder: Path, project: Path = HERE, slurm: bool = False, cores: int = 1):
        self.folder, self.project, self.slurm, self.cores = folder.resolve(), project, slurm, cores
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {name: _free_port() for name in ("postgres", "s3", "mlflow", "ray", "dashboard", *SLURMS)}
        self.hub = self.folder / "hub.git"
        self._ray = Path(tempfile.mkdtemp(prefix="ray-"))  # the paths of its sockets must be short

    @property
    def environment(self) -> dict[str, str]:
        """What nodes and users need."""
        return {
            "PATH": PATH,
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self.ports['mlflow']}",
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
            **({"SLURM_CONF": str(self.folder / "slurm.conf")} if self.slurm else {"RAY_USAGE_STATS_ENABLED": "0"}),
        }

    @property
    def s3(self) -> str:
        """The address of the S3 store."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    @property
    def ray(self) -> str:
        """Host and port for --workers."""
        return f"127.0.0.1:{self.ports['dashboard']}"

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "credentials").write_text(
                f"[default]\naws_access_key_id = faces\naws_secret_access_key = {PASSWORD}\n", encoding="utf-8"
            )
            self.start_hub()
            for start in (self.start_postgres, self.start_s3, self.start_mlflow):
                start()
            if self.slurm:
                self.start_slurm()
            else:
                self.start_ray()
                for number in range(len(NODES)):
                    self.start_node(number)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_hub(self) -> None:
        """A bare repository with the commit of the project, which names the S3 store as DVC's remote."""
        clone = self.repository
        _call("git", "clone", "--quiet", "--bare", str(self.project), str(self.hub))
        _call("git", "clone", "--quiet", str(self.hub), str(clone))
        for command in (
            ("git", "config", "user.name", "cluster"),
            ("git", "config", "user.email", "cluster@localhost"),
            ("dvc", "remote", "add", "--quiet", "--force", "--default", "s3", f"s3://{BUCKET}"),
            ("dvc", "remote", "modify", "s3", "endpointurl", self.s3),
            ("git", "commit", "--quiet", "--all", "--message", "DVC's remote"),
            ("git", "push", "--quiet"),
        ):
            _call(*command, cwd=clone)
        for number in range(len(NODES)):
            _call("git", "clone", "--quiet", str(self.hub), str(self.home(number)))
        for home in (clone, *map(self.home, range(len(NODES)))):
            (home / ".venv").symlink_to(HERE / ".venv")

    @property
    def repository(self) -> Path:
        """A clone for the user."""
        return self.folder / "repository"

    def objects(self) -> list[str]:
        """Paths of all that the S3 store holds."""
        import s3fs

        store = s3fs.S3FileSystem(key="faces", secret=PASSWORD, endpoint_url=self.s3, skip_instance_cache=True)
        return store.find(BUCKET)

    def home(self, number: int) -> Path:
        """A node's own clone."""
        return self.folder / f"node-{number}"

    def start_postgres(self) -> None:
        """With an empty database each for MLflow and for JuiceFS."""
        (binaries,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:] or [Path()]
        data, port = self.folder / "postgres", str(self.ports["postgres"])
        own = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups") if os.geteuid() == 0 else ()
        new = not data.exists()
        if new:
            data.mkdir(mode=0o700)
            if own:
                shutil.chown(data, "postgres", "postgres")
            _call(*own, str(binaries / "initdb"), f"--pgdata={data}", "--auth=trust", "--username=postgres", "-EUTF8")
        options = ("-D", str(data), "-p", port, "-h", "127.0.0.1", "-k", "", "-N", "200")
        self._start("postgres", *own, str(binaries / "postgres"), *options)
        self._until("PostgreSQL", lambda: _answers(self.ports["postgres"]))
        for name in ("mlflow", "juicefs") if new else ():
            _call("createdb", "--host=127.0.0.1", f"--port={port}", "--username=postgres", name)

    def start_s3(self) -> None:
        """With an empty bucket."""
        meta = f"postgres://postgres@127.0.0.1:{self.ports['postgres']}/juicefs?sslmode=disable"
        if not (self.folder / "objects").exists():
            (self.folder / "objects").mkdir()
            _call("juicefs", "format", "--storage=file", f"--bucket={self.folder}/objects/", meta, BUCKET)
        login = {"MINIO_ROOT_USER": "faces", "MINIO_ROOT_PASSWORD": PASSWORD}
        cache = f"--cache-dir={self.folder}/cache"
        self._start(
            "s3", "juicefs", "gateway", "--no-usage-report", cache, meta, self.s3.removeprefix("http://"), **login
        )
        self._until("the S3 store", lambda: requests.get(f"{self.s3}/minio/health/live", timeout=5).ok)

    def start_mlflow(self) -> None:
        """The server, on PostgreSQL."""
        port = str(self.ports["mlflow"])
        store = f"postgresql+psycopg2://postgres@127.0.0.1:{self.ports['postgres']}/mlflow"
        artifacts = f"--artifacts-destination={self.folder / 'artifacts'}"
        self._start(
            "mlflow", "mlflow", "server", f"--backend-store-uri={store}", artifacts, f"--port={port}", "--workers=1"
        )
        self._until("MLflow", lambda: requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok)

    def start_ray(self) -> None:
        """The head, which runs no commands itself."""
        dashboard = ("--dashboard-host=127.0.0.1", f"--dashboard-port={self.ports['dashboard']}")
        self._start_ray(
            "ray", HEAD, "--head", f"--port={self.ports['ray']}", f"--temp-dir={self._ray}", "--num-cpus=0", *dashboard
        )
        self._until("Ray", lambda: requests.get(f"http://{self.ray}/api/version", timeout=5).ok)

    def start_node(self, number: int) -> None:
        """A node; a few times if need be, as `ray start` gives up after 30 seconds on a busy machine."""
        name, started = f"node-{number}", "Ray runtime started"
        before = self._said(name).count(started)
        where = (f"--address={HEAD}:{self.ports['ray']}", f"--num-cpus={self.cores}")
        for _ in range(4):
            self._start_ray(name, NODES[number], *where, FACE_EMOTIONS_HOME=str(self.home(number)))
            while self.processes[name].poll() is None:
                if self._said(name).count(started) > before:
                    return
                time.sleep(0.5)
            self.kill(name)
        sys.exit(f"error: {name} does not start: {self._said(name)[-2000:]}")

    def start_slurm(self) -> None:
        """Its head, its two nodes, and munge, by which they know each other."""
        key, host = self.folder / "munge.key", socket.gethostname().split(".")[0]
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        for name, text in (("slurm.conf", SLURM), ("prolog", PROLOG)):
            ports = {"port": self.ports["slurmctld"], "first": self.ports["slurmd-0"], "second": self.ports["slurmd-1"]}
            (self.folder / name).write_text(text.format(folder=self.folder, host=host, **ports), encoding="utf-8")
        (self.folder / "prolog").chmod(0o755)
        files = (f"--{name}={self.folder}/munge.{name.split('-')[0]}" for name in ("key-file", "pid-file", "seed-file"))
        self._start("munged", "munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *files)
        self._start("slurmctld", "slurmctld", "-D")
        for number in range(len(NODES)):
            self.start_slurmd(number)
        command = ["sinfo", "--noheader", "--format=%D", "--states=idle"]
        self._until("Slurm", lambda: self._output(*command).split() == [str(len(NODES))])

    def start_slurmd(self, number: int) -> None:
        """A node with one core."""
        self._start(f"slurmd-{number}", "slurmd", "-D", "-N", f"node-{number}")

    def kill(self, name: str) -> None:
        """Ends a service at once, with all that it has started (SIGKILL)."""
        process = self.processes.pop(name)
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """All of them."""
        for name in reversed(list(self.processes)):
            self.kill(name)
        shutil.rmtree(self._ray, ignore_errors=True)

    def _start_ray(self, name: str, ip: str, *options: str, **environment: str) -> None:
        agent = f"--dashboard-agent-listen-port={_free_port()}"
        command = ("ray", "start", "--block", "--disable-usage-stats", f"--node-ip-address={ip}", agent, *options)
        self._start(name, *command, **environment)

    def _start(self, name: str, *command: str, **environment: str) -> None:
        _check_installed(command[0])
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _output(self, *command: str) -> str:
        variables = os.environ | self.environment
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False).stdout

    def _said(self, name: str) -> str:
        log = self.folder / f"{name}.log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

    def _until(self, what: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    sys.exit(f"error: {name} ended with {process.returncode}: {self._said(name)[-2000:]}")
            with suppress(requests.RequestException):
                if ready():
                    return
            time.sleep(0.5)
        sys.exit(f"error: {what} does not answer; the logs are in {self.folder}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _answers(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(5)
        return one.connect_ex(("127.0.0.1", port)) == 0


def _check_installed(program: str) -> None:
    if not shutil.which(program, path=PATH):
        sys.exit(f"error: {program} is not installed; docs/cluster.md names what is needed")


def _call(*command: str, cwd: Path | None = None) -> None:
    _check_installed(command[0])
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | {"PATH": PATH}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.cluster", description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path, help="that is not there yet")
    parser.add_argument("--slurm", action="store_true", help="instead of Ray; for root alone")
    arguments = parser.parse_args()
    folder = arguments.folder
    if folder.exists():
        sys.exit(f"error: {folder} is there already; name another folder")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), Cluster(folder, slurm=arguments.slurm) as cluster:
        print(f"cd {cluster.repository}")
        for name, value in cluster.environment.items():
            if name != "PATH":
                print(f"export {name}={value}")
        workers = "slurm:faces" if cluster.slurm else f"ray:{cluster.ray}"
        print(f"make report WORKERS={workers}\n\nCtrl-C ends the cluster.", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
