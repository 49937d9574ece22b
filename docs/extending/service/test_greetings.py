"""The part fits the sample's target file, and the service starts and answers as its description says."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from harness.model.files.loading import load_sound_target
from harness.model.files.source import read_yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
HANG_GUARD_S = 30


def merged():
    """Return the sample's target with the part in it."""
    target = read_yaml(ROOT / "target_stack" / "target.yaml").data
    part = read_yaml(HERE / "target.part.yaml").data
    for section, entries in part.items():
        assert not target[section].keys() & entries.keys()
        target[section] |= entries
    target["services"]["authority"]["env"]["MEMBERS"] += " greetings"
    return target


def test_the_part_fits_the_targets_file(tmp_path):
    path = tmp_path / "target.yaml"
    path.write_text(yaml.safe_dump(merged(), sort_keys=False))
    target = load_sound_target(path)
    assert "gateway -> greetings" in target.links
    assert target.services["greetings"].ready == "admin:/health/ready"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


@pytest.fixture
def ports(tmp_path):
    """Start the service without a certificate, which makes it speak plain HTTP; return its port and its admin port."""
    port, admin = free_port(), free_port()
    said = {"OTEL_SERVICE_NAME": "greetings", "PORT": str(port), "ADMIN_PORT": str(admin), "TENANTS": "{}"}
    path = os.pathsep.join([str(HERE), str(ROOT)])
    environment = {**os.environ, **said, "PYTHONPATH": path}
    with subprocess.Popen([sys.executable, "-m", "greetings"], env=environment, cwd=tmp_path) as process:
        try:
            wait_for(admin)
            yield port, admin
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(HANG_GUARD_S) == 0


def wait_for(port):
    give_up = time.monotonic() + HANG_GUARD_S
    while time.monotonic() < give_up:
        try:
            if get(f"http://127.0.0.1:{port}/health/ready")[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("greetings is not ready")


def test_it_starts_answers_and_drains(ports):
    port, _ = ports
    assert get(f"http://127.0.0.1:{port}/greetings?language=fr") == (
        200,
        {"words": "Bonjour", "service": "greetings"},
    )
    status, refused = get(f"http://127.0.0.1:{port}/greetings?language=tlh")
    assert (status, refused["error"]) == (400, "bad_request")
