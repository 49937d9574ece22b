"""Undoing: confirmed by reading back, bounded in time, and never done to what is not ours."""

import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.faults.kinds.link_acts import LinkDown, ToxicPlaced
from harness.faults.safety.acts import FolderMade, ProcessMade, RunMark
from harness.faults.safety.journal import Entry
from harness.faults.safety.marked import Identity, marker
from harness.faults.safety.undo import Undone, undo_all, undo_faults
from tests.faults.support import LINK, lives

SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def toxic(api, name="fault-1", proxy=LINK):
    return Entry(0, ToxicPlaced(name, api, proxy, name))


def place(proxy, name="fault-1"):
    body = {"name": name, "type": "latency", "attributes": {"latency": 1}}
    proxy.calls._call("POST", f"/proxies/{LINK.replace(' ', '%20')}/toxics", body)


@pytest.fixture
def sleeper():
    started = []

    def start(env=None):
        process = subprocess.Popen(
            [sys.executable, "-c", SLEEPER],
            stdout=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        process.stdout.readline()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_toxic_is_removed_and_read_back(proxy):
    place(proxy)
    entry = toxic(proxy.api)
    assert undo_faults([entry]) == [Undone(entry)]
    assert proxy.toxics() == []


def test_other_toxics_stay(proxy):
    place(proxy)
    place(proxy, "somebody-elses")
    undo_faults([toxic(proxy.api)])
    assert proxy.toxics() == ["somebody-elses"]


@pytest.mark.parametrize("entry", [("fault-9", LINK), ("fault-1", "no -> link")])
def test_what_was_never_placed_counts_as_undone(proxy, entry):
    name, link = entry
    assert undo_faults([toxic(proxy.api, name, link)])[0].confirmed


def test_a_link_that_is_down_comes_up(proxy):
    proxy.calls.set_enabled(LINK, enabled=False)
    assert undo_faults([Entry(0, LinkDown("fault-1", proxy.api, LINK))])[0].confirmed
    assert proxy.calls.is_enabled(LINK)


def test_a_proxy_that_is_gone_holds_no_fault(proxy):
    proxy.stop()
    assert undo_faults([toxic(proxy.api)])[0].confirmed


def test_a_proxy_that_hangs_cannot_be_confirmed_and_costs_bounded_time(proxy):
    proxy.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    (undone,) = undo_faults([toxic(proxy.api)])
    assert "timed out" in undone.cause
    assert time.monotonic() - began < 4  # the promise to whoever waits; the sum of the limits is about half of it


def test_a_fault_in_a_hanging_proxy_is_confirmed_once_the_proxy_is_ended(proxy):
    place(proxy)
    proxy.process.send_signal(signal.SIGSTOP)
    made = ProcessMade("fault-proxy", proxy.process.pid, Identity.of(proxy.process.pid).created_s, signal.SIGTERM)
    done = list(undo_all([Entry(1, toxic(proxy.api).act), Entry(0, made)], polite_s=0.2))
    assert {undone.entry.number: undone.cause for undone in done} == {0: "", 1: ""}


class StickyProxy(http.server.BaseHTTPRequestHandler):
    """A Toxiproxy whose toxics cannot be removed one by one."""

    calls: list[str]
    stuck = True

    def do_GET(self):
        self.answer(b'[{"name": "fault-1"}]' if self.server.stuck else b"[]")

    def do_POST(self):
        self.server.calls.append(f"POST {self.path}")
        if self.path == "/reset" and self.server.heals:
            self.server.stuck = False
        self.answer(b"{}")

    def do_DELETE(self):
        self.server.calls.append(f"DELETE {self.path}")
        self.answer(b"")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def sticky():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StickyProxy)
    server.calls, server.stuck, server.heals = [], True, True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_toxic_that_stays_is_cut_off_and_then_reset(sticky):
    (undone,) = undo_faults([toxic(f"127.0.0.1:{sticky.server_port}", proxy="a")])
    assert undone.confirmed
    assert sticky.calls == [
        "DELETE /proxies/a/toxics/fault-1",
        "POST /proxies/a",
        "DELETE /proxies/a/toxics/fault-1",
        "POST /proxies/a",
        "POST /reset",
    ]


def test_a_toxic_that_survives_everything_is_said_to_be_there(sticky):
    sticky.heals = False
    (undone,) = undo_faults([toxic(f"127.0.0.1:{sticky.server_port}", proxy="a")])
    assert undone.cause == "it was removed and is still there"


def test_a_later_process_with_the_same_pid_is_left_alone(sleeper):
    process = sleeper()
    entry = Entry(0, ProcessMade("orders", process.pid, Identity.of(process.pid).created_s - 100, signal.SIGTERM))
    assert list(undo_all([entry])) == [Undone(entry)]
    assert lives(process.pid)


def test_every_process_with_the_mark_of_the_run_and_its_owner_is_ended(sleeper):
    owner = Identity.of(os.getpid())
    marked = sleeper(marker("run-x", owner))
    namesake = sleeper(marker("run-x", Identity(1, 1.0)))
    other = sleeper(marker("run-y", owner))
    run = Entry(0, RunMark("run-x", str(owner), "", 0, 0, ""))
    assert list(undo_all([run])) == [Undone(run)]
    assert [lives(process.pid) for process in (marked, namesake, other)] == [False, True, True]


def test_a_folder_of_ours_is_removed_with_all_in_it(tmp_path):
    folder = tmp_path / "harness-data-1"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("x")
    entry = Entry(0, FolderMade(str(folder)))
    assert list(undo_all([entry])) == [Undone(entry)]
    assert not folder.exists()


def test_a_folder_that_is_not_ours_is_never_removed(tmp_path):
    folder = tmp_path / "precious"
    folder.mkdir()
    (undone,) = undo_all([Entry(0, FolderMade(str(folder)))])
    assert "is not ours" in undone.cause
    assert folder.exists()


def test_undoing_twice_is_harmless(proxy, tmp_path):
    place(proxy)
    folder = tmp_path / "harness-data-1"
    folder.mkdir()
    entries = [toxic(proxy.api), Entry(1, FolderMade(str(folder)))]
    first, second = list(undo_all(entries)), list(undo_all(entries))
    assert first == second == [Undone(entries[0]), Undone(entries[1])]
    assert not Path(folder).exists()
