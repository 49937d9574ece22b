"""Faults on real processes: applied, read back, observed, taken back, also by somebody else's hand and twice."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time

import psutil
import pytest

from harness.faults.kinds.process_acts import identified, written
from harness.faults.safety.journal import outstanding
from harness.faults.safety.safety import Safety
from harness.faults.safety.undo import undo_faults
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault
from harness.model.run.clock import SteadyClock
from tests.faults.support import Heard, Somewhere, lives, make, wait_until

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def safety(tmp_path):
    safety = Safety(tmp_path, run_id=f"run-{os.getpid()}", lease_s=60, emit=Heard().append, clock=SteadyClock())
    safety._start()
    yield safety
    asyncio.run(safety.dismiss())


@pytest.fixture
def service():
    """Two processes of a service, as a shell with a child would be."""
    started = [
        subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(2)
    ]
    for process in started:
        process.stdout.readline()
    yield Somewhere(orders=[psutil.Process(process.pid) for process in started])
    for process in started:
        process.kill()
        process.wait()


def fault(**raw):
    return Fault.model_validate({"service": "orders", **raw})


def states(service):
    return [process.status() for process in service.processes["orders"]]


def test_a_pause_stops_every_process_and_its_undo_continues_them(safety, service):
    injector = make(fault(pause=True), safety=safety, places=service)
    injector.apply()
    assert injector.confirm()
    assert states(service) == ["stopped", "stopped"]
    assert (injector.observed().touched, injector.observed().unit) == (2, "processes")
    assert (injector.undo(), injector.confirm()) == ("", False)
    assert "stopped" not in states(service)
    assert injector.undo() == ""


def test_a_pause_is_undone_from_the_journal_alone(safety, service):
    make(fault(pause=True), safety=safety, places=service).apply()
    assert [undone.cause for undone in undo_faults(outstanding(safety.journal_path))] == [""]
    assert "stopped" not in states(service)


def test_a_pause_that_somebody_lifted_is_known(safety, service):
    injector = make(fault(pause=True), safety=safety, places=service)
    injector.apply()
    assert injector.lifted_by() == ""
    service.processes["orders"][0].send_signal(signal.SIGCONT)
    assert injector.lifted_by() == "somebody"
    injector.undo()


@pytest.mark.parametrize("how", [{"kill": True}, {"restart": True}])
def test_a_kill_is_expected_confirmed_and_the_service_revived(safety, service, how):
    injector = make(fault(**how), safety=safety, places=service)
    injector.apply()
    assert injector.confirm()
    assert injector.observed().touched == 2
    assert not any(lives(process.pid) for process in service.processes["orders"])
    assert service.expected == ["orders"]
    assert (injector.undo(), service.revived) == ("", ["orders"])


def test_a_service_that_does_not_come_back_is_no_confirmed_undo(safety, service):
    service.cause_of_revival = "orders is not ready"
    injector = make(fault(kill=True), safety=safety, places=service)
    injector.apply()
    assert injector.undo() == "orders is not ready"


def test_a_process_that_asks_to_be_killed_harder_is(safety):
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        place = Somewhere(orders=[psutil.Process(process.pid)])
        make(fault(restart=True), safety=safety, places=place).apply()
        assert not lives(process.pid)


@pytest.mark.parametrize(
    ("raw", "number", "lowered"),
    [
        ({"memory_ceiling": "900MB"}, resource.RLIMIT_AS, 900_000_000),
        ({"descriptor_ceiling": 40}, resource.RLIMIT_NOFILE, 40),
    ],
)
def test_a_ceiling_stands_in_the_kernel_and_goes(safety, service, raw, number, lowered):
    before = [process.rlimit(number) for process in service.processes["orders"]]
    injector = make(fault(**raw), safety=safety, places=service)
    injector.apply()
    assert injector.confirm()
    assert [process.rlimit(number)[0] for process in service.processes["orders"]] == [lowered, lowered]
    assert injector.undo() == ""
    assert [process.rlimit(number) for process in service.processes["orders"]] == before


def test_a_hog_burns_and_dies_with_its_fault(safety, service):
    injector = make(fault(cpu_hog=2), safety=safety, places=service)
    injector.apply()
    hogs = [process for entry in outstanding(safety.journal_path) for process in helpers(entry.act)]
    assert len(hogs) == 2
    wait_until(lambda: all(sum(hog.cpu_times()[:2]) > 0.05 for hog in hogs), "they burn CPU time")
    assert injector.undo() == ""
    assert not any(lives(hog.pid) for hog in hogs)


def helpers(act):
    return list(identified(act.processes)) if hasattr(act, "processes") else []


def test_a_service_without_a_process_is_an_error(safety):
    with pytest.raises(HarnessError, match="orders has no process"):
        make(fault(kill=True), safety=safety, places=Somewhere()).apply()


def test_undoing_what_was_never_applied_touches_nothing(safety, service):
    for raw in ({"kill": True}, {"pause": True}, {"cpu_hog": 1}, {"memory_ceiling": "1GB"}):
        assert make(fault(**raw), safety=safety, places=service).undo() == ""
    assert service.revived == []


def test_a_later_process_with_the_same_pid_is_left_alone():
    me = psutil.Process()
    impostor = f"{me.pid}:{me.create_time() - 100:.2f}"
    assert list(identified(f"{impostor} {written([me])}")) == [me]


def test_pausing_what_dies_meanwhile_is_undone(safety, service):
    injector = make(fault(pause=True), safety=safety, places=service)
    injector.apply()
    for process in service.processes["orders"]:
        process.kill()
    time.sleep(0.05)
    assert injector.undo() == ""
