"""A unit of processes, found again by its identity alone."""

import resource
import subprocess
import sys

import psutil
import pytest

from harness.units.named import unit_named
from harness.units.processes import Processes
from harness.units.unit import Limit, UnitError
from tests.faults.support import wait_until

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def unit():
    started = [subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE) for _ in range(2)]
    for process in started:
        process.stdout.readline()
    yield Processes.of(psutil.Process(process.pid) for process in started)
    for process in started:
        process.kill()
        process.wait()


def again(unit):
    """Find the unit as the reaper does."""
    found = unit_named(unit.identity)
    assert found is not None
    return found


def test_the_identity_finds_the_same_members(unit):
    assert again(unit).living() == unit.living()
    assert (again(unit).size, again(unit).noun) == (2, "processes")


def test_a_pause_is_seen_and_lifted_by_identity(unit):
    unit.pause()
    wait_until(lambda: unit.paused() == unit.living(), "both are stopped")
    again(unit).resume()
    wait_until(lambda: not unit.paused(), "none is stopped")


@pytest.mark.parametrize("how", [Processes.kill, Processes.end])
def test_ending_leaves_nobody(unit, how):
    how(unit)
    wait_until(lambda: not unit.living(), "none lives")
    assert unit.size == 2
    unit.kill()
    unit.resume()
    assert unit.restore_limit(Limit.FILES, unit.read_limit(Limit.FILES)) == ""


@pytest.mark.parametrize(
    ("limit", "number"), [(Limit.FILES, resource.RLIMIT_NOFILE), (Limit.MEMORY, resource.RLIMIT_AS)]
)
def test_a_limit_stands_and_is_restored_by_identity(unit, limit, number):
    before, processes = unit.read_limit(limit), [psutil.Process(int(pid)) for pid in unit.living()]
    old = [process.rlimit(number) for process in processes]
    unit.lower_limit(limit, 900_000_000 if limit is Limit.MEMORY else 50)
    assert unit.limited(limit, 900_000_000 if limit is Limit.MEMORY else 50) == unit.living()
    assert again(unit).restore_limit(limit, before) == ""
    assert [process.rlimit(number) for process in processes] == old


def test_a_limit_that_cannot_be_is_an_error_that_names_it(unit):
    with pytest.raises(UnitError, match=r"the files limit of process .* cannot be lowered"):
        unit.lower_limit(Limit.FILES, -5)


def test_a_later_process_with_the_same_pid_is_no_member():
    me = psutil.Process()
    impostor = unit_named(f"processes {me.pid}:{me.create_time() - 100:.2f}")
    assert impostor is not None
    assert impostor.living() == []


@pytest.mark.parametrize("identity", ["", "pods a b", "processes2 1:1"])
def test_a_scheme_that_is_not_known_is_no_unit(identity):
    assert unit_named(identity) is None


@pytest.mark.parametrize("words", ["abc", "12", ":", "1:x"])
def test_words_that_are_no_identity_are_no_members(words):
    found = unit_named(f"processes {words}")
    assert found is not None
    assert found.size == 0
