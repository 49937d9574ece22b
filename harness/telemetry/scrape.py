"""Reading the services' metrics, each second, straight from them: there need be no Prometheus."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from harness.model.clock import Clock
from harness.recording.columns import Table
from harness.recording.row_sink import RowSink
from harness.telemetry.beat import Beat
from harness.telemetry.exposition import Exposition

_FLUSH_EVERY = 5  # rounds
_ACCEPT = "text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.5, */*;q=0.1"


class Scraper:
    """Asks every endpoint once a round. One that does not answer in time is a gap: `up` is 0, nothing else fails."""

    def __init__(self, run: Path, endpoints: Mapping[str, str], clock: Clock, interval_s: float = 1.0) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._interval_s = interval_s
        self._rows = RowSink(run, Table.METRICS, source="scrape")
        self._parsers = {service: Exposition() for service in endpoints}
        self._beat = Beat(self._round, interval_s)
        self._session: aiohttp.ClientSession | None = None
        self._rounds = 0

    async def start(self) -> None:
        """Begin; the first round is one interval from now."""
        timeout = aiohttp.ClientTimeout(total=min(self._interval_s, 1.0))
        self._session = aiohttp.ClientSession(timeout=timeout, headers={"Accept": _ACCEPT})
        self._beat.start()

    async def stop(self) -> None:
        """End, and write what is there. Safe to repeat, and without a start."""
        if self._session is None:
            return
        session, self._session = self._session, None
        await self._beat.stop()
        await session.close()
        await self._flush()

    async def _round(self) -> None:
        session = self._session
        if session is None:
            return
        await asyncio.gather(*(self._ask(session, *endpoint) for endpoint in self._endpoints.items()))
        self._rounds += 1
        if self._rounds % _FLUSH_EVERY == 0:
            await self._flush()

    async def _ask(self, session: aiohttp.ClientSession, service: str, url: str) -> None:
        try:
            async with session.get(url) as response:
                response.raise_for_status()
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError):
            self._rows.add((self._clock.now_ns(), service, "up", "{}", 0.0))
            return
        at_ns = self._clock.now_ns()
        self._rows.add((at_ns, service, "up", "{}", 1.0))
        for sample in self._parsers[service].samples(text):
            self._rows.add((at_ns, service, sample.name, sample.labels, sample.value))

    async def _flush(self) -> None:
        await asyncio.to_thread(self._rows.write, self._rows.take())
