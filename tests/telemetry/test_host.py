"""What services use of the machine, their children and their dead included."""

import asyncio
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from harness.recording.columns import Table
from harness.telemetry.host import Families, HostSampler, MachineTime, OwnTime
from tests.telemetry.reading import NOW_NS, StillClock, rows

PATIENCE_S = 30
SPIN = "import time\nwhile time.process_time() < {cpu_s}: pass\n"
FAMILY = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', {spin!r} + {after!r}], start_new_session=True)\n"
    "child.wait() if {reap} else None\n"
    "print('ready', flush=True)\n"
    "sys.stdin.read()\n"
    "child.kill()\n"
)


@contextmanager
def service(*, cpu_s: float, child_lives: bool):
    """A process whose child, in a session of its own, uses *cpu_s* of CPU time and then sleeps or ends."""
    after = "time.sleep(600)" if child_lives else ""
    code = FAMILY.format(spin=SPIN.format(cpu_s=cpu_s), after=after, reap=not child_lives)
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield process
    finally:
        process.stdin.close()
        process.wait(PATIENCE_S)


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_service_is_its_process_and_its_descendants():
    with service(cpu_s=0.4, child_lives=True) as process:  # more than is waited for: the kernel counts in ticks
        families = Families()
        pids = {"db": process.pid}

        def busy_enough():
            usage = families.usage(pids).get("db")
            return usage if usage and usage[1] >= 0.2 else None

        rss_bytes, _ = wait_until(busy_enough)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 1
        assert rss_bytes > max(p.memory_info().rss for p in (psutil.Process(process.pid), *children))


def test_time_of_a_child_that_ended_stays_counted():
    with service(cpu_s=0.2, child_lives=True) as process:  # more than is waited for: the kernel counts in ticks
        families = Families()
        pids = {"db": process.pid}
        wait_until(lambda: families.usage(pids)["db"][1] >= 0.1)
        before_s = families.usage(pids)["db"][1]
        for child in psutil.Process(process.pid).children():
            child.kill()
        wait_until(lambda: all(c.status() == psutil.STATUS_ZOMBIE for c in psutil.Process(process.pid).children()))
        families.refresh(pids)
        assert families.usage(pids)["db"][1] >= before_s


def test_a_process_that_is_gone_is_left_out_and_a_new_one_is_found():
    families = Families()
    with service(cpu_s=0, child_lives=False) as process:
        assert set(families.usage({"db": process.pid})) == {"db"}
    assert families.usage({"db": process.pid}) == {}
    assert set(families.usage({"db": os.getpid()})) == {"db"}


def test_the_machine_is_between_idle_and_busy():
    machine = MachineTime()
    wait_until(lambda: machine.busy_share() > 0)
    assert 0 <= machine.busy_share() <= 1


def test_what_services_and_this_process_use_is_their_own():
    own = OwnTime()
    with service(cpu_s=0.4, child_lives=True) as process:
        assert own.used_s([process.pid]) is None  # since when is not known
        wait_until(lambda: (own.used_s([process.pid]) or 0) > 0)
        assert own.used_s([]) is not None  # a service that is gone is no error


def test_samples_are_rows(tmp_path):
    async def main(pid):
        sampler = HostSampler(tmp_path, StillClock(), lambda: {"me": pid})
        await sampler.start()
        await asyncio.sleep(1.5)
        await sampler.stop()
        await sampler.stop()

    with service(cpu_s=0, child_lives=False) as process:
        asyncio.run(main(process.pid))
        rss_bytes = psutil.Process(process.pid).memory_info().rss
    found = rows(tmp_path, Table.METRICS)
    assert set(zip(found.time, found.service, found.name, found.labels, strict=True)) == {
        (NOW_NS, "host", "host_cpu_busy_ratio", "{}"),
        *((NOW_NS, "host", name, "{}") for name in set(found.name) & {"host_cpu_foreign_ratio"}),
        (NOW_NS, "me", "process_resident_memory_bytes", "{}"),
        (NOW_NS, "me", "process_cpu_seconds_total", "{}"),
    }
    values = dict(zip(found.name, found.value, strict=True))
    assert values["process_resident_memory_bytes"] == pytest.approx(rss_bytes, rel=0.5)


def test_stopping_before_starting_does_nothing(tmp_path):
    asyncio.run(HostSampler(tmp_path, StillClock(), dict).stop())
    assert len(rows(tmp_path, Table.METRICS)) == 0
