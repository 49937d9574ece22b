"""Metrics of services that answer, that do not, and that go away."""

import asyncio
import json

from aiohttp import web

from harness.recording.columns import Table
from harness.telemetry.scrape import Scraper
from tests.telemetry.reading import NOW_NS, StillClock, rows

PATIENCE_S = 20


async def serve(handlers):
    app = web.Application()
    for path, handler in handlers.items():
        app.router.add_get(path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, "http://{}:{}".format(*runner.addresses[0][:2])


def scraped(run, handlers, *, gone=(), rounds=3):
    """Scrape services until each was asked a few times; the handlers count."""
    asked = dict.fromkeys(handlers, 0)

    async def main():
        async def handle(request):
            asked[request.path] += 1
            return await handlers[request.path](request)

        runner, url = await serve(dict.fromkeys(handlers, handle))
        endpoints = {path.strip("/"): url + path for path in handlers} | dict.fromkeys(gone, "http://127.0.0.1:9/")
        scraper = Scraper(run, endpoints, StillClock(), interval_s=0.05)
        await scraper.start()
        async with asyncio.timeout(PATIENCE_S):
            while min(asked.values()) < rounds:  # noqa: ASYNC110 - what is awaited is another task's count
                await asyncio.sleep(0.01)
        await scraper.stop()
        await scraper.stop()
        await runner.cleanup()

    asyncio.run(main())
    return rows(run, Table.METRICS)


async def metrics(_request):
    return web.Response(text='resilience_breaker_state{name="a -> b"} 2\nother 1\n')


async def broken(_request):
    return web.Response(status=500)


async def hangs(_request):
    await asyncio.sleep(PATIENCE_S)


async def garbage(_request):
    return web.Response(body=b"\xff\xfe\x00http_", content_type="text/plain", charset="utf-8")


def test_samples_come_with_their_service_and_time(tmp_path):
    found = scraped(tmp_path, {"/payments": metrics})
    assert set(found.itertuples(index=False, name=None)) == {
        (NOW_NS, "payments", "up", "{}", 1.0),
        (NOW_NS, "payments", "resilience_breaker_state", json.dumps({"name": "a -> b"}), 2.0),
    }
    assert (found.name == "up").sum() >= 3


def test_a_service_that_cannot_be_asked_is_a_gap_for_itself_alone(tmp_path):
    services = {"/payments": metrics, "/broken": broken, "/hangs": hangs, "/garbage": garbage}
    found = scraped(tmp_path, services, gone=["gone"], rounds=2)
    up = {service: set(rows.value) for service, rows in found[found.name == "up"].groupby("service")}
    assert up == {"payments": {1.0}, "broken": {0.0}, "hangs": {0.0}, "garbage": {0.0}, "gone": {0.0}}
    assert set(found[found.name != "up"].service) == {"payments"}


def test_stopping_before_starting_does_nothing(tmp_path):
    asyncio.run(Scraper(tmp_path, {}, StillClock()).stop())
    assert len(rows(tmp_path, Table.METRICS)) == 0
