"""Processes end with their groups and descendants; a later process with the same pid is left alone."""

import signal
import subprocess
import sys

import psutil
import pytest

from harness.faults.safety.endings import end_processes
from harness.faults.safety.marked import Identity
from tests.faults.support import lives, wait_until

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
POLITE = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('up', flush=True);"
    "time.sleep(60)"
)
FAMILY = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
    "print(child.pid, flush=True); time.sleep(60)"
)


@pytest.fixture
def start():
    started = []

    def begin(code, **how):
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True, **how
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield begin
    for process in started:
        process.kill()
        process.wait()


def end(process, **how):
    return end_processes([(psutil.Process(process.pid), signal.SIGTERM)], **how)


def test_a_polite_process_ends_by_itself(start):
    process, _ = start(POLITE)
    assert end(process) == []
    assert process.wait() == 7


def test_a_stubborn_process_is_killed(start):
    process, _ = start(STUBBORN)
    assert end(process, polite_s=0.2) == []
    assert process.wait() == -signal.SIGKILL


def test_a_stopped_process_is_ended(start):
    process, _ = start(POLITE)
    process.send_signal(signal.SIGSTOP)
    assert end(process) == []
    assert process.wait() == 7


def test_a_descendant_in_a_session_of_its_own_is_ended(start):
    process, child = start(FAMILY)
    assert end(process) == []
    wait_until(lambda: not lives(int(child)), "the child is gone")


def test_a_member_of_a_group_whose_leader_is_gone_is_ended(start):
    code = FAMILY.replace("start_new_session=True", "start_new_session=False")
    process, child = start(code.replace('time.sleep(60)")', 'time.sleep(60)")'))
    assert end(process, polite_s=0.5) == []
    wait_until(lambda: not lives(int(child)), "the child is gone")


def test_a_later_process_with_the_same_pid_is_another(start):
    process, _ = start(POLITE)
    now = Identity.of(process.pid)
    assert now.process() is not None
    assert Identity(process.pid, now.created_s - 60).process() is None


def test_an_identity_survives_being_written_down(start):
    process, _ = start(POLITE)
    written = str(Identity.of(process.pid))
    assert Identity.parse(written).process().pid == process.pid
    assert Identity.parse("nonsense") is None


def test_a_zombie_is_nobody():
    process = subprocess.Popen([sys.executable, "-c", ""])
    wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, "it is a zombie")
    assert Identity.of(process.pid) is None
    process.wait()
