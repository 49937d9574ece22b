"""The supervisor starts a service again, and never leaves one behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_stack.supervisor import Backoff, Liveness

SERVICE = """
import http.server, os, signal, sys, time
if os.environ.get("CRASHES"):
    sys.exit(3)
signal.signal(signal.SIGTERM, lambda *_: (print("drained", flush=True), sys.exit(0)))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@given(st.lists(st.floats(0, 30), max_size=60))
def test_the_backoff_is_bounded_and_a_long_life_resets_it(lives_s):
    backoff = Backoff()
    for lived_s in lives_s:
        before = backoff
        backoff = backoff.after(lived_s)
        assert backoff.first_s <= backoff.delay_s <= backoff.longest_s
        if lived_s >= backoff.healthy_s:
            assert (backoff.delay_s, backoff.is_loop) == (backoff.first_s, False)
        else:
            assert backoff.delay_s >= before.delay_s


def test_short_lives_double_the_pause_until_it_is_a_loop():
    backoff, seen = Backoff(first_s=1.0, longest_s=5.0), []
    for _ in range(5):
        backoff = backoff.after(0.1)
        seen.append((backoff.delay_s, backoff.is_loop))
    assert seen == [(1.0, False), (2.0, False), (4.0, False), (5.0, True), (5.0, True)]


@given(st.lists(st.booleans(), max_size=30))
def test_a_child_is_hung_exactly_after_so_many_missed_probes_in_a_row(probes):
    liveness = Liveness(allowed=3).after(True, 0.0)
    for at, answered in enumerate(probes):
        liveness = liveness.after(answered, 1.0)
        missed = probes[: at + 1]
        trailing = next((n for n, was_answered in enumerate(reversed(missed)) if was_answered), len(missed))
        assert liveness.is_hung == (trailing >= 3)


def test_a_child_that_is_still_starting_is_given_its_time():
    liveness = Liveness(allowed=1, grace_s=10.0)
    assert not liveness.after(False, 9.9).is_hung
    assert liveness.after(False, 10.0).is_hung


class Supervised:
    def __init__(self, folder: Path, **environment: str) -> None:
        (folder / "toy_service.py").write_text(SERVICE)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = folder / "log"
        given = {"PORT": str(self.port), "LIVENESS_EVERY_S": "0.1", "LIVENESS_TIMEOUT_S": "0.3", **environment}
        path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "target_stack.supervisor", "toy_service"],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **given},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def child(self) -> int | None:
        """Return the pid of the child that answers now."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.3) as connection:
                connection.settimeout(0.3)
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                parts = []
                while part := connection.recv(4096):
                    parts.append(part)
                return int(b"".join(parts).rpartition(b"\r\n\r\n")[2])
        except (OSError, ValueError):
            return None

    def told(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture
def supervised(tmp_path):
    started = []

    def start(**environment: str) -> Supervised:
        started.append(Supervised(tmp_path, **environment))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_service_that_is_killed_comes_back_and_the_log_says_so(supervised, until):
    service = supervised()
    first = until(service.child, "the service answers")
    os.kill(first, signal.SIGKILL)
    second = until(lambda: (pid := service.child()) and pid != first and pid, "another one answers")
    assert is_gone(first)
    assert second != first
    (line,) = service.told()
    assert (line["body"], line["exit_code"], line["restarts"]) == ("the service ended: it is restarted", -9, 1)


def test_a_service_that_hangs_is_killed_and_comes_back(supervised, until):
    service = supervised()
    first = until(service.child, "the service answers")
    until(lambda: service.child() == first, "it has been probed")
    os.kill(first, signal.SIGSTOP)
    until(lambda: service.child() not in (None, first), "another one answers", timeout_s=30)
    assert is_gone(first)


def test_sigterm_is_passed_on_and_the_service_drains(supervised, until):
    service = supervised()
    child = until(service.child, "the service answers")
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0
    assert is_gone(child)
    assert "drained" in service.log.read_text()


def test_a_supervisor_that_is_killed_leaves_no_service_behind(supervised, until):
    service = supervised()
    child = until(service.child, "the service answers")
    service.process.kill()
    service.process.wait()
    until(lambda: is_gone(child), "the service is gone too")


def test_a_crash_loop_stays_bounded_and_is_called_by_its_name(supervised, until):
    service = supervised(CRASHES="1", RESTART_LONGEST_S="0.4")
    until(lambda: len(service.told()) >= 6, "it crashed often enough")
    told = service.told()
    assert [line["delay_s"] for line in told[:6]] == [0.1, 0.2, 0.4, 0.4, 0.4, 0.4]
    assert [line["severity"] for line in told[:4]] == ["WARNING", "WARNING", "WARNING", "ERROR"]
    assert {line["exit_code"] for line in told} == {3}


def test_without_self_healing_nobody_starts_it_again_at_once(supervised, until):
    service = supervised(PROOFS="on", PROTECTIONS_OFF="self_healing")
    first = until(service.child, "the service answers")
    os.kill(first, signal.SIGKILL)
    (line,) = until(service.told, "its end is told")
    assert line["delay_s"] == 20.0
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0
