"""A cell on a node of a cluster; that it runs there is tested with a real one, in test_cluster.py."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from src.report import cell
from tests.conftest import clone_of, environment, fresh


def test_a_node_with_another_library_refuses_before_it_trains(small, tmp_path):
    hub = fresh(small, tmp_path / "hub")
    libraries = hub.path / "libraries.yaml"
    libraries.write_text(yaml.safe_dump(yaml.safe_load(libraries.read_text()) | {"h5py": "1.0"}))
    hub.commit("of another machine")
    clone = clone_of(hub.path, tmp_path / "clone")
    task = {"job": "one-1", "name": "one", "digest": "", "changes": {"seed": 2}, "hub": str(hub.path)}
    task["mlflow"] = "http://127.0.0.1:1"
    command = [sys.executable, "-m", "src.report.cell", str(tmp_path), json.dumps(task)]
    done = subprocess.run(command, cwd=clone.path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert "libraries.yaml: h5py is 1.0 there, and" in done.stderr
    assert not (clone.path / "data/raw.zip").exists()


def test_real_faces_lie_beside_the_nodes_clone_and_not_beside_the_cells(small):
    found = cell._data(Path("/node"), small.path, {"local_path": "../faces.zip", "source": "local"})
    assert found == {"local_path": "/node/../faces.zip"}
    assert cell._data(Path("/node"), small.path, {"local_path": "/mnt/faces.zip"}) == {"local_path": "/mnt/faces.zip"}
