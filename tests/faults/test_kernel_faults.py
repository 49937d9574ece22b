"""Packets that the kernel drops: counted, and gone with their table. Skipped, with the reason, where it cannot."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from harness.faults.kinds import kernel_acts
from harness.faults.kinds.injector import UNKNOWN
from harness.faults.kinds.kernel_acts import (
    LOSS_SAMPLE,
    RATE_SAMPLE,
    TABLE_PREFIX,
    PacketFilterError,
    TableMade,
    has_table,
    nft,
    rules,
    why_missing,
)
from harness.faults.safety.journal import outstanding
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault
from harness.model.run.clock import SteadyClock
from tests.faults.support import LINK, Heard, make, wait_until

needs_kernel = pytest.mark.skipif(bool(why_missing(LOSS_SAMPLE)), reason=why_missing(LOSS_SAMPLE))
LOSS = {"link": LINK, "packet_loss": "50%"}


@pytest.fixture
def safety(tmp_path):
    (tmp_path / "run").mkdir()
    opened = Safety(tmp_path / "run", run_id="run", lease_s=5.0, emit=Heard().append, clock=SteadyClock())
    asyncio.run(opened.start())
    yield opened
    asyncio.run(opened.dismiss())


def fault(**given):
    return Fault.model_validate(given)


def table_of(safety):
    (act,) = [entry.act for entry in outstanding(safety.journal_path) if isinstance(entry.act, TableMade)]
    return act


def read_all(client):
    with contextlib.suppress(OSError):
        while client.recv(65536):
            pass


def send(proxy, count):
    """Send bytes through the link while somebody reads them back."""
    with contextlib.suppress(OSError), proxy.connect() as client:
        reader = threading.Thread(target=lambda: read_all(client), daemon=True)
        reader.start()
        for _ in range(count):
            client.sendall(b"x" * 1000)


@needs_kernel
def test_lost_packets_are_counted_and_the_table_is_gone_afterwards(safety, proxy):
    injector = make(fault(**LOSS), api=proxy.api, safety=safety)
    injector.apply()
    table = table_of(safety).table
    assert (injector.confirm(), injector.lifted_by(), has_table(table)) == (True, "", True)
    assert injector.observed().touched == 0
    threading.Thread(target=lambda: send(proxy, 20), daemon=True).start()
    observed = wait_until(lambda: injector.observed().is_something and injector.observed(), "a packet is lost")
    assert observed.unit == "packets dropped"
    assert observed.first_observed_ns is not None
    assert (injector.undo(), has_table(table)) == ("", False)
    injector.settle()
    assert [entry for entry in outstanding(safety.journal_path) if isinstance(entry.act, TableMade)] == []


@needs_kernel
def test_other_links_lose_nothing(safety, proxy):
    other = proxy.add_link("other")
    injector = make(fault(link=LINK, packet_loss="100%"), api=proxy.api, safety=safety)
    injector.apply()
    proxy.listen = other
    with proxy.connect() as client:
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
    assert (injector.observed().touched, injector.undo()) == (0, "")


@needs_kernel
def test_a_rate_drops_what_exceeds_it(safety, proxy):
    injector = make(fault(link=LINK, kernel_rate=200), api=proxy.api, safety=safety)
    injector.apply()
    threading.Thread(target=lambda: send(proxy, 3000), daemon=True).start()
    wait_until(lambda: injector.observed().is_something, "a packet is dropped")
    assert injector.undo() == ""


@needs_kernel
def test_undoing_twice_and_before_applying_is_fine(safety, proxy):
    injector = make(fault(**LOSS), api=proxy.api, safety=safety)
    assert injector.undo() == ""
    injector.apply()
    assert [injector.undo(), injector.undo()] == ["", ""]
    assert injector.observed() == UNKNOWN


@needs_kernel
def test_a_table_that_somebody_else_deleted_is_told(safety, proxy):
    injector = make(fault(**LOSS), api=proxy.api, safety=safety)
    injector.apply()
    nft(f"delete table inet {table_of(safety).table}", limit_s=2)
    assert (injector.confirm(), injector.lifted_by(), injector.undo()) == (False, "somebody", "")


HOLDER = """
import asyncio, pathlib, sys
from harness.model.run.clock import SteadyClock
from harness.model.files.faults import Fault
from harness.faults.safety.safety import Safety
from tests.faults.support import LINK, make
async def main():
    safety = Safety(pathlib.Path(sys.argv[1]), run_id="held", lease_s=5.0, emit=lambda event: None, clock=SteadyClock())
    await safety.start()
    fault = Fault.model_validate({"link": LINK, "packet_loss": "5%"})
    await asyncio.to_thread(make(fault, api=sys.argv[2], safety=safety).apply)
    print("applied", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@needs_kernel
def test_the_reaper_deletes_the_table_of_a_harness_that_was_killed(tmp_path, proxy):
    run = tmp_path / "held"
    run.mkdir()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(run), proxy.api], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"applied\n"
    (act,) = [entry.act for entry in outstanding(run / "undo.jsonl") if isinstance(entry.act, TableMade)]
    assert has_table(act.table)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    wait_until(lambda: not has_table(act.table), "the table is gone")
    wait_until(lambda: not outstanding(run / "undo.jsonl"), "all is struck from the journal")


def test_a_table_that_is_not_ours_is_never_deleted():
    assert TableMade("fault-1", LINK, "filter").heal(time.monotonic() + 1) == "table filter is not ours"


def test_it_says_why_it_is_not_available(monkeypatch):
    monkeypatch.setattr(kernel_acts, "_may_administer", lambda: False)
    assert "CAP_NET_ADMIN" in why_missing(LOSS_SAMPLE)
    monkeypatch.setattr(kernel_acts, "_may_administer", lambda: True)
    monkeypatch.setattr(kernel_acts, "find_nft", lambda: None)
    assert why_missing(LOSS_SAMPLE) == "nft is not installed (package nftables)"

    def lacking(*_, **__):
        msg = "nft: Operation not supported"
        raise PacketFilterError(msg)

    monkeypatch.setattr(kernel_acts, "find_nft", lambda: "/usr/sbin/nft")
    monkeypatch.setattr(kernel_acts, "nft", lacking)
    assert why_missing(LOSS_SAMPLE) == "this kernel's packet filter cannot do it: nft: Operation not supported"


def test_without_nft_nothing_is_journalled(safety, proxy, monkeypatch):
    monkeypatch.setattr(kernel_acts, "find_nft", lambda: None)
    injector = make(fault(**LOSS), api=proxy.api, safety=safety)
    with pytest.raises(HarnessError, match="packet_loss is not available on this machine"):
        injector.apply()
    assert [entry for entry in outstanding(safety.journal_path) if isinstance(entry.act, TableMade)] == []


@needs_kernel
def test_the_probe_changes_nothing():
    why_missing(RATE_SAMPLE)
    assert not has_table(f"{TABLE_PREFIX}probe")


@needs_kernel
def test_a_ruleset_is_taken_whole_or_not_at_all():
    with pytest.raises(PacketFilterError):
        nft(rules(f"{TABLE_PREFIX}half", 9, "nonsense"), limit_s=2)
    assert not has_table(f"{TABLE_PREFIX}half")
