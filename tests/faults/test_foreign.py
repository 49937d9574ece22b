"""A foreign Toxiproxy whose DELETE hangs: a time limit, then the link is cut, then the proxy is reset."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from harness.faults.kinds.link_acts import ToxicPlaced
from harness.faults.proxy.proxy_calls import ProxyCalls
from harness.faults.safety.journal import Entry, outstanding
from harness.faults.safety.recover import recover
from harness.faults.safety.undo import Undone, undo_faults
from tests.faults.foreign import Foreign
from tests.faults.support import HANG_GUARD_S, LINK, wait_until

DELETE = f"DELETE /proxies/{LINK}/toxics/fault-1"
CUT, MEND = f"POST /proxies/{LINK}", f"POST /proxies/{LINK}"
LOOK = f"GET /proxies/{LINK}/toxics"


@pytest.fixture(params=["sticky", "stuck"])
def foreign(request):
    server = Foreign(request.param)
    server.proxy(LINK)["toxics"] = [{"name": "fault-1"}]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def held(server):
    return [toxic["name"] for toxic in server.proxy(LINK)["toxics"]]


def test_a_delete_that_hangs_is_given_up_and_the_rougher_ways_are_taken(foreign):
    entry = Entry(0, ToxicPlaced("fault-1", foreign.address, LINK, "fault-1"))
    assert undo_faults([entry]) == [Undone(entry)]
    assert (held(foreign), foreign.proxy(LINK)["enabled"]) == ([], True)
    cut_off = [DELETE, CUT, DELETE]
    rougher = [MEND, LOOK] if foreign.mode == "sticky" else [MEND, "POST /reset", LOOK]
    assert foreign.calls == [*cut_off, *rougher]


@pytest.fixture
def start_holder(tmp_path, foreign):
    foreign.proxy(LINK)["toxics"] = []
    processes = []

    def start():
        run = tmp_path / "held"
        command = [sys.executable, "-m", "tests.faults.holder", str(run), json.dumps({"link": LINK, "latency": "50ms"})]
        command += [json.dumps({"api": foreign.address}), "1", "600"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert [process.stdout.readline() for _ in range(2)] == ["safe\n", "applied\n"]
        return process, run

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def reaper_of(process):
    lines = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return next(int(line.split()[0]) for line in lines.stdout.splitlines() if "harness.faults.safety.reaper" in line)


def test_the_reaper_gets_rid_of_it_when_the_harness_is_killed(start_holder, foreign):
    process, run = start_holder()
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not held(foreign), "the toxic is gone")
    wait_until(lambda: not outstanding(run / "undo.jsonl"), "it is told")


def test_the_harness_gets_rid_of_it_when_the_reaper_is_killed(start_holder, foreign):
    process, _ = start_holder()
    os.kill(reaper_of(process), signal.SIGKILL)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=HANG_GUARD_S)
    assert (process.returncode, held(foreign)) == (0, [])


def test_recover_gets_rid_of_it_when_both_are_killed(start_holder, foreign):
    process, _ = start_holder()
    reaper = reaper_of(process)
    os.kill(reaper, signal.SIGKILL)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert ProxyCalls(foreign.address, 0).has_toxic(LINK, "fault-1")
    report = recover()
    assert (report.failed, held(foreign)) == ([], [])
