"""Reading the services' metrics, each second, straight from them: there need be no Prometheus."""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import aiohttp

from harness.model.run.clock import Clock
from harness.recording.columns import Table
from harness.recording.row_sink import RowSink
from harness.telemetry.beat import Beat
from harness.telemetry.exposition import Exposition

_FLUSH_EVERY = 5  # intervals
_ACCEPT = "text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.5, */*;q=0.1"


class Scraper:
    """Asks every endpoint once an interval. One that does not answer in time is a gap: `up` is 0, nothing else fails.

    Each is asked at a time of its own: all at once they would take the machine from the requests that are measured.
    """

    def __init__(self, run: Path, endpoints: Mapping[str, str], clock: Clock, interval_s: float = 1.0) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._interval_s = interval_s
        self._rows = RowSink(run, Table.METRICS, source="scrape")
        self._parsers = {service: Exposition() for service in endpoints}
        self._beats: list[Beat] = []
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Begin; each endpoint is asked within one interval from now, and then every interval."""
        timeout = aiohttp.ClientTimeout(total=min(self._interval_s, 1.0))
        self._session = aiohttp.ClientSession(timeout=timeout, headers={"Accept": _ACCEPT})
        self._beats = [Beat(self._flush, _FLUSH_EVERY * self._interval_s)]
        for place, (service, url) in enumerate(self._endpoints.items(), 1):
            ask = partial(self._ask, self._session, service, url)
            self._beats.append(
                Beat(ask, self._interval_s, first_after_s=self._interval_s * place / len(self._endpoints))
            )
        for beat in self._beats:
            beat.start()

    async def stop(self) -> None:
        """End, and write what is there. Safe to repeat, and without a start."""
        if self._session is None:
            return
        session, self._session = self._session, None
        await asyncio.gather(*(beat.stop() for beat in self._beats))
        await session.close()
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
