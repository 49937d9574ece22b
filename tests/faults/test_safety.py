"""The harness's side: start, heartbeat, a reaper that dies, and a dismissal that leaves nothing."""

import asyncio
import os
import signal
import subprocess

import pytest

from harness.faults.kinds.link_acts import ToxicPlaced
from harness.faults.safety import heartbeat as heartbeat_module
from harness.faults.safety.journal import outstanding
from harness.faults.safety.marked import Identity, marked_processes
from harness.faults.safety.registry import live_runs, registered
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError, RollbackError
from harness.model.run.clock import SteadyClock
from harness.model.run.events import Kind
from tests.faults.support import LINK, Heard, lives, wait_until

LEASE_S = 1.0


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def safety(tmp_path, heard):
    return Safety(tmp_path, run_id=f"run-{tmp_path.name}-{os.getpid()}", lease_s=LEASE_S, emit=heard.append,
                  clock=SteadyClock())  # fmt: skip


def reaper_of_this_run():
    ((_, run),) = registered()
    return Identity.parse(run.reaper)


def place(proxy):
    body = {"name": "fault-1", "type": "latency", "attributes": {"latency": 1}}
    proxy.calls._call("POST", f"/proxies/{LINK.replace(' ', '%20')}/toxics", body)


def sleeping(environment):
    def hear_interrupts():  # a test run in the background of a shell ignores them, and its children would too
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True, preexec_fn=hear_interrupts)


def test_a_run_is_registered_while_it_lives_and_not_after(safety):
    async def run():
        await safety.start()
        during = [(r.pid, r.harness_lives, r.reaper_lives) for r in live_runs()]
        await safety.dismiss()
        return during

    assert asyncio.run(run()) == [(os.getpid(), True, True)]
    assert list(registered()) == []


def test_dismissing_undoes_what_is_left_and_ends_the_reaper(safety, heard, proxy, tmp_path):
    folder = tmp_path / "harness-data-1"
    folder.mkdir()

    async def run():
        await safety.start()
        reaper = reaper_of_this_run()
        child = sleeping(os.environ)
        unknown = sleeping({**os.environ, **safety.marker})
        safety.process(child.pid, "orders")
        safety.folder(folder)
        safety.write(ToxicPlaced("fault-1", proxy.api, LINK, "fault-1"))
        place(proxy)
        wait_until(lambda: list(marked_processes(safety.marker["HARNESS_RUN"])), "the mark is seen")
        await safety.dismiss()
        return reaper, [child.wait(10), unknown.wait(10)]

    reaper, codes = asyncio.run(run())
    assert codes == [-signal.SIGTERM, -signal.SIGINT]  # what is known its own way, what is not as a terminal would
    assert not lives(reaper.pid)
    assert (proxy.toxics(), folder.exists()) == ([], False)
    assert heard.of(Kind.FAULT_UNDONE) == [{"fault": "fault-1", "by": "harness"}]
    assert outstanding(safety.journal_path) == []


def test_dismissing_twice_or_without_a_start_is_harmless(safety):
    async def run():
        await safety.dismiss()
        await safety.start()
        await safety.dismiss()
        await safety.dismiss()

    asyncio.run(run())


def test_a_reaper_that_dies_is_replaced_and_the_new_one_watches(safety, heard):
    async def run():
        await safety.start()
        first = reaper_of_this_run()
        os.kill(first.pid, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: reaper_of_this_run() != first, "there is a new one")
        second = reaper_of_this_run()
        alive = lives(second.pid)
        await safety.dismiss()
        return alive, lives(second.pid)

    assert asyncio.run(run()) == (True, False)
    assert heard.of(Kind.NOTE) == [{"text": "the reaper had died; a new one watches"}]


def test_a_fault_that_cannot_be_undone_is_a_rollback_error_and_is_remembered(safety, proxy, heard):
    async def run():
        await safety.start()
        safety.write(ToxicPlaced("fault-1", proxy.api, LINK, "fault-1"))
        proxy.process.send_signal(signal.SIGSTOP)
        await safety.dismiss()

    with pytest.raises(RollbackError, match="timed out") as raised:
        asyncio.run(run())
    assert "harness recover" in raised.value.hint
    assert heard.of(Kind.FAULT_FAILED)[0]["step"] == "undo"
    assert len(list(registered())) == 1


def test_nothing_may_be_done_when_it_cannot_be_written_down(safety, monkeypatch):
    async def run():
        await safety.start()
        try:
            with monkeypatch.context() as patch:
                patch.setattr(os, "write", full_disk)
                safety.write(ToxicPlaced("fault-1", "127.0.0.1:1", LINK, "fault-1"))
        finally:
            await safety.dismiss()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(HarnessError, match="undo journal cannot be written: No space left"):
        asyncio.run(run())


def test_a_reaper_that_cannot_start_prevents_the_run(safety, monkeypatch):
    async def run():
        try:
            await safety.start()
        finally:
            await safety.dismiss()

    safety._reaper._command.append("--nonsense")
    with pytest.raises(HarnessError, match=r"faults cannot be made safe: the reaper does not start.*nonsense"):
        asyncio.run(run())
    assert list(registered()) == []


def test_the_embedded_proxy_heals_by_itself_when_nobody_renews_its_lease(safety, proxy):
    async def run():
        await safety.start()
        safety.proxy(proxy.api)
        place(proxy)
        await asyncio.sleep(LEASE_S * 1.3)
        renewed = proxy.toxics()
        await safety.dismiss()
        return renewed

    assert asyncio.run(run()) == ["fault-1"]
    wait_until(lambda: proxy.toxics() == [], "the proxy healed")


def test_a_stuck_event_loop_loses_its_lease(safety, proxy, heard, monkeypatch):
    monkeypatch.setattr(heartbeat_module, "STUCK_S", 0.3)

    async def run():
        await safety.start()
        safety.write(ToxicPlaced("fault-1", proxy.api, LINK, "fault-1"))
        place(proxy)
        wait_until(lambda: proxy.toxics() == [], "the reaper lifted it")  # blocks the loop on purpose
        await safety.dismiss()

    asyncio.run(run())


def test_a_busy_event_loop_keeps_its_lease(safety, proxy):
    async def run():
        await safety.start()
        safety.write(ToxicPlaced("fault-1", proxy.api, LINK, "fault-1"))
        place(proxy)
        busy_until = asyncio.get_running_loop().time() + LEASE_S * 1.5
        while asyncio.get_running_loop().time() < busy_until:
            pass
        kept = proxy.toxics()
        await safety.dismiss()
        return kept

    assert asyncio.run(run()) == ["fault-1"]
