"""A real load process against a small shop that misbehaves as told."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from aiohttp import web

from harness.load.job import ClockAnchor, LoadJob
from harness.load.process import LOG, LoadProcess
from harness.model.run.clock import NS_PER_S, SteadyClock
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan
from harness.recording.columns import Table

HANG_GUARD_S = 40
HEAD_START_S = 1.2


def plan_of(
    flows: dict[str, Any],
    load: dict[str, dict[str, float]],
    *,
    seconds: float = 3.0,
    ledgers: dict[str, Any] | None = None,
    token: bool = True,
    surge: dict[str, Any] | None = None,
) -> Plan:
    """A plan whose fault phase is the middle third."""
    third = f"{seconds / 3:g}s"
    tenants = {tenant: {"secret": "s3cret"} for tenant in load}
    target = {
        "name": "shop",
        "entry": "shop",
        "services": {"shop": {"command": ["true"]}},
        "tenants": tenants,
        "flows": flows,
        "ledgers": ledgers or {},
    }
    if token:
        target["token"] = {"request": {"path": "/token", "body": {"tenant": "{tenant}", "secret": "{tenant.secret}"}}}
    return Plan.model_validate(
        {
            "name": "test",
            "seed": 7,
            "phases": {"warmup": "0s", "baseline": third, "fault": third, "recovery": third},
            "scenario": {
                "claim": "what the tests of the load need",
                "load": load,
                "faults": [{"surge": surge or {"tenant": next(iter(load)), "times": 1}}],
            },
            "target": target,
        }
    )


@dataclass
class Shop:
    """Answers as its handler says; remembers what it was asked."""

    answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
    token_lifetime_s: float | None = 300
    token_status: int = 200
    tokens_asked: int = 0
    seen: list[web.Request] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            self.tokens_asked += 1
            body = await request.json()
            lifetime = {} if self.token_lifetime_s is None else {"expires_in": self.token_lifetime_s}
            token = f"{body['tenant']}.{self.tokens_asked}"
            return web.json_response({"access_token": token, **lifetime}, status=self.token_status)
        self.seen.append(request)
        return await self.answer(request)

    @asynccontextmanager
    async def open(self):
        """Serve on a free port; yields the base URL."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        try:
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


def tenant_of(request: web.Request) -> str:
    """Who asks, by its token."""
    return request.headers["Authorization"].removeprefix("Bearer ").split(".")[0]


async def ok(request: web.Request) -> web.Response:
    return web.json_response({"tenant": tenant_of(request)})


@dataclass
class Load:
    """What a load left."""

    code: int
    events: list[Event]
    progress: list[dict[str, Any]]
    run: Path
    registered: list[int]
    start_ns: int

    @property
    def requests(self) -> pd.DataFrame:
        return rows(self.run, Table.REQUESTS)

    @property
    def ledger(self) -> pd.DataFrame:
        return rows(self.run, Table.LEDGER)

    @property
    def log(self) -> str:
        return (self.run / LOG).read_text()

    def event(self, kind: Kind) -> Event:
        (found,) = [event for event in self.events if event.kind is kind]
        return found


def rows(run: Path, table: Table) -> pd.DataFrame:
    """All segments of a table; no partial file may be left."""
    assert not list((run / table.value).glob("*.partial"))
    segments = [pd.read_parquet(path) for path in sorted((run / table.value).glob("*.parquet"))]
    return pd.concat(segments, ignore_index=True) if segments else table.schema.empty_table().to_pandas()


def run_load(
    plan: Plan,
    shop: Shop,
    run: Path,
    *,
    meanwhile: Callable[[LoadProcess, SteadyClock], Awaitable[None]] | None = None,
    base_url: str | None = None,
    most_in_flight: int = 400,
) -> Load:
    """Run a load to its end; *meanwhile* starts with the first arrival's time."""
    return asyncio.run(asyncio.wait_for(_run(plan, shop, run, meanwhile, base_url, most_in_flight), HANG_GUARD_S))


async def _run(plan, shop, run, meanwhile, base_url, most_in_flight) -> Load:
    clock, events, progress, registered = SteadyClock(), [], [], []
    start_ns = clock.now_ns() + int(HEAD_START_S * NS_PER_S)
    async with shop.open() as url:
        job = LoadJob(
            plan=plan,
            base_url=base_url or url,
            start_ns=start_ns,
            anchor=ClockAnchor(utc_ns=clock.anchor_utc_ns, monotonic_ns=clock.anchor_monotonic_ns),
            run=str(run),
            most_in_flight=most_in_flight,
        )
        load = await LoadProcess.start(
            job,
            emit=events.append,
            on_progress=progress.append,
            env=os.environ,
            register=registered.append,
        )
        try:
            if meanwhile:
                await asyncio.sleep((start_ns - clock.now_ns()) / NS_PER_S)
                await meanwhile(load, clock)
            code = await load.wait()
        finally:
            await load.stop()
            print((run / LOG).read_text())  # shown when a test fails
    return Load(code, events, progress, run, registered, start_ns)


def counts(frame: pd.DataFrame, *columns: str) -> dict[Any, int]:
    """Rows by the values of some columns."""
    return frame.groupby(list(columns), observed=True, dropna=False).size().to_dict()
