"""Ends of what a supervisor keeps alive: told with the words of the event, and of the service alone."""

import subprocess
import sys

import pytest

from harness.drivers.child_exits import ChildExits
from harness.drivers.family import children_of, program_of
from harness.model.run.clock import SteadyClock
from harness.model.run.events import Kind
from tests.faults.support import wait_until

SLEEPER = "import time; time.sleep(600)"
OTHER = "import time; time.sleep(300)"
SUPERVISOR = f"""
import subprocess, sys
while line := sys.stdin.readline():
    code = {SLEEPER!r} if line.strip() == "service" else {OTHER!r}
    subprocess.Popen([sys.executable, "-c", code])
"""
REAPING = SUPERVISOR.replace(
    "import subprocess, sys", "import signal, subprocess, sys; signal.signal(17, signal.SIG_IGN)"
)


@pytest.fixture
def supervisor():
    """A supervisor that starts what it is told, and a look at its service."""
    process = subprocess.Popen([sys.executable, "-u", "-c", REAPING], stdin=subprocess.PIPE, text=True)

    def start(what):
        before = children_of(process.pid)
        process.stdin.write(what + "\n")
        process.stdin.flush()
        new = wait_until(lambda: children_of(process.pid) - before, "the child is there")
        (pid,) = new
        program = SLEEPER if what == "service" else OTHER
        wait_until(lambda: program in program_of(pid), "it runs its program, not yet its parent's")
        return pid

    process.start = start
    yield process
    for pid in children_of(process.pid):
        subprocess.run(["kill", "-9", str(pid)], check=False)
    process.kill()
    process.communicate()


def kill(supervisor, pid):
    subprocess.run(["kill", "-9", str(pid)], check=True)
    wait_until(lambda: pid not in children_of(supervisor.pid), "it is gone")


def looking_at(supervisor):
    heard = []
    exits = ChildExits(lambda: {"orders": supervisor.pid}, emit=heard.append, clock=SteadyClock())
    exits.look()
    return exits, lambda: [(event.kind, dict(event.fields)) for event in heard]


def test_an_end_that_nobody_expected_and_the_new_start_are_told(supervisor):
    first = supervisor.start("service")
    exits, told = looking_at(supervisor)
    kill(supervisor, first)
    second = supervisor.start("service")
    exits.look()
    exits.look()
    assert told() == [
        (Kind.PROCESS_EXITED, {"service": "orders", "pid": first, "code": None, "expected": False}),
        (Kind.PROCESS_STARTED, {"service": "orders", "pid": second}),
    ]


def test_an_end_that_was_announced_is_expected_and_the_next_one_is_not(supervisor):
    first = supervisor.start("service")
    exits, told = looking_at(supervisor)
    exits.expect("orders")
    kill(supervisor, first)
    exits.look()
    second = supervisor.start("service")
    exits.look()
    kill(supervisor, second)
    exits.look()
    assert [fields["expected"] for kind, fields in told() if kind is Kind.PROCESS_EXITED] == [True, False]


def test_another_program_of_the_supervisor_is_none_of_the_service(supervisor):
    supervisor.start("service")
    exits, told = looking_at(supervisor)
    probe = supervisor.start("probe")
    exits.look()
    kill(supervisor, probe)
    exits.look()
    assert told() == []


def test_a_service_without_a_supervisor_and_a_supervisor_that_is_gone_tell_nothing():
    heard = []
    exits = ChildExits(dict, emit=heard.append, clock=SteadyClock())
    exits.look()
    exits.expect("orders")
    assert heard == []
    assert children_of(2**22 - 3) == frozenset()
