"""toxiproxy-node-client, as npm has it, drives the proxy unchanged."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = "toxiproxy-node-client@4.1.0"
SCRIPT = Path(__file__).with_name("node_client.cjs")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The folder of the installed package."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), PACKAGE]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        pytest.skip(f"{PACKAGE} cannot be had from the npm registry: {problem}")
    return folder / "node_modules" / "toxiproxy-node-client"


def test_it_creates_populates_changes_and_removes(client, api):
    command = ["node", str(SCRIPT), str(client), f"http://{api.address}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    slow = {"name": "slow", "type": "latency", "stream": "upstream"}
    changed = {**slow, "toxicity": 1, "attributes": {"latency": 7, "jitter": 10}}
    assert json.loads(done.stdout) == {
        "version": True,
        "created": ["node", "localhost:1", True, True],
        "added": {**slow, "toxicity": 0.5, "attributes": {"latency": 100, "jitter": 10}},
        "updated": changed,
        "shown": changed,
        "removed": "Request failed with status code 404",
        "disabled": False,
        "healed": True,
        "conflict": "Request failed with status code 409",
        "populated": ["b", "a"],
        "all": ["a", "b", "node"],
        "left": [],
    }
