"""How a load keeps time, and how it ends: real Locust, real sockets, real files."""

import asyncio
import os
import signal
import subprocess
import sys

import psutil
from aiohttp import web

from harness.load.arrivals import arrivals_of
from harness.model.run.clock import NS_PER_MS
from harness.model.run.events import Kind
from tests.load.misbehaving_shop import FLOWS, LEDGERS
from tests.load.running import Shop, counts, ok, plan_of, run_load

BROWSE = {"browse": {"timeout": "500ms", "steps": [{"name": "list", "path": "/products", "watermark": "tenant"}]}}


def test_a_refused_connection_is_unknown(tmp_path):
    plan = plan_of(BROWSE, {"acme": {"browse": 5}}, token=False)
    load = run_load(plan, Shop(ok), tmp_path, base_url="http://127.0.0.1:9")
    assert set(zip(load.requests.outcome, load.requests.error, strict=True)) == {("unknown", "connection refused")}


def test_latency_counts_from_the_intended_start_during_a_stall(tmp_path):
    """The shop stops for a second; who was due at its beginning waits longest, and nobody was held back."""
    open_again = asyncio.Event()
    open_again.set()

    async def answer(request):
        await open_again.wait()
        return await ok(request)

    async def stall(_load, _clock):
        await asyncio.sleep(0.7)
        open_again.clear()
        await asyncio.sleep(1.0)
        open_again.set()

    flows = {"browse": {**BROWSE["browse"], "timeout": "3s"}}
    load = run_load(plan_of(flows, {"acme": {"browse": 60}}), Shop(answer), tmp_path, meanwhile=stall)
    rows = load.requests
    latency_ms = (rows.end - rows.intended_start) / NS_PER_MS
    assert set(rows.outcome) == {"ok"}
    assert (latency_ms > 500).sum() >= 15  # about 60/s for the first half of the stall
    assert latency_ms.max() >= 900


def test_what_cannot_be_started_in_time_is_dropped(tmp_path):
    async def hang(_request):
        await asyncio.sleep(30)

    plan = plan_of(BROWSE, {"acme": {"browse": 30}}, seconds=3)
    load = run_load(plan, Shop(hang), tmp_path, most_in_flight=3)
    rows = load.requests
    dropped = rows[rows.outcome == "dropped"]
    assert set(rows.outcome) == {"unknown", "dropped"}
    assert len(rows) == len(list(arrivals_of(plan)))
    assert set(zip(dropped.start, dropped.status, dropped.error, strict=True)) == {(0, 0, "not started in time")}
    assert ((dropped.end - dropped.intended_start) == 500 * NS_PER_MS).all()
    assert load.event(Kind.LOAD_ENDED).fields["dropped"] == len(dropped)


def test_a_ledger_that_cannot_be_read_is_incomplete(tmp_path):
    async def answer(request):
        return web.json_response({}, status=201 if request.method == "POST" else 403)

    load = run_load(plan_of(FLOWS, {"acme": {"buy": 3}}, ledgers=LEDGERS), Shop(answer), tmp_path)
    fields = load.event(Kind.LEDGER_READ).fields
    assert fields == {"ledger": "orders", "tenant": "acme", "keys": 0, "complete": False, "cause": "status 403"}


def test_without_a_token_there_is_no_load(tmp_path):
    load = run_load(plan_of(BROWSE, {"acme": {"browse": 10}}), Shop(ok, token_status=401), tmp_path)
    assert load.code == 3
    assert "acme: POST /token: answered 401, expected 200" in load.log
    assert load.events == []


def test_sigterm_ends_early_with_all_rows(tmp_path):
    async def slow(request):
        await asyncio.sleep(0.3 if request.query else 30)
        return await ok(request)

    flows = {
        "quick": {"timeout": "5s", "steps": [{"name": "quick", "path": "/?quick=1"}]},
        "hanging": {"timeout": "5s", "steps": [{"name": "hanging", "path": "/"}]},
    }

    async def terminate(load, _clock):
        await asyncio.sleep(1.0)
        await load.stop()

    plan = plan_of(flows, {"acme": {"quick": 20, "hanging": 5}}, seconds=30)
    load = run_load(plan, Shop(slow), tmp_path, meanwhile=terminate)
    ended = load.event(Kind.LOAD_ENDED).fields
    assert load.code == ended["code"] == 0
    assert len(load.requests) == ended["arrivals"] < len(list(arrivals_of(plan)))
    assert counts(load.requests, "step", "outcome").keys() == {("quick", "ok"), ("hanging", "unknown")}
    assert not psutil.pid_exists(load.registered[0])


def test_it_ends_when_its_parent_is_gone(tmp_path):
    async def abandon(load, _clock):
        await asyncio.sleep(1.0)
        load._process.stdin.close()

    load = run_load(plan_of(BROWSE, {"acme": {"browse": 20}}, seconds=30), Shop(ok), tmp_path, meanwhile=abandon)
    assert load.code == 4
    assert len(load.requests) > 0


def test_a_killed_generator_leaves_readable_rows(tmp_path):
    async def kill(load, _clock):
        await asyncio.sleep(2.2)
        os.killpg(load.pid, signal.SIGKILL)

    load = run_load(plan_of(BROWSE, {"acme": {"browse": 20}}, seconds=30), Shop(ok), tmp_path, meanwhile=kill)
    assert load.code == -signal.SIGKILL
    assert set(load.requests.outcome) == {"ok"}


def test_a_full_disk_is_told_and_does_not_end_the_load(tmp_path):
    async def fill(_load, _clock):
        await asyncio.sleep(0.3)
        (tmp_path / "requests").rename(tmp_path / "elsewhere")

    plan = plan_of(BROWSE, {"acme": {"browse": 20}}, seconds=3)
    load = run_load(plan, Shop(ok), tmp_path, meanwhile=fill)
    lost = load.event(Kind.TELEMETRY_LOST).fields
    written = len(list((tmp_path / "elsewhere").glob("*.parquet")))
    assert load.code == 0
    assert lost["what"] == "requests"
    assert written > 0 or lost["count"] == len(list(arrivals_of(plan)))


def test_nothing_but_the_load_process_imports_locust():
    code = "import sys, harness.load.process, harness.load.placeholders; print({'locust', 'gevent'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
