"""How often each table was read from end to end, as PostgreSQL counts it: what a missing index looks like."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from target_stack.kit.call_context import CallContext, set_context
from target_stack.kit.clock import Clock
from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.deadline import Deadline, DeadlineExceededError

_EVERY_S = 1.0


class TableScans(Collector):
    """Exports `postgres_table_seq_scans_total` by table, as *read* counted it last."""

    def __init__(
        self, registry: CollectorRegistry, read: Callable[[], Awaitable[Mapping[str, int]]], clock: Clock
    ) -> None:
        self._read = read
        self._clock = clock
        self._counts: Mapping[str, int] = {}
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return one series for each table."""
        family = CounterMetricFamily("postgres_table_seq_scans", "Reads of a whole table", labels=["table"])
        for table, scans in sorted(self._counts.items()):
            family.add_metric([table], scans)
        yield family

    async def run(self) -> None:
        """Count until cancelled; while the database is away the last numbers stay."""
        while True:
            set_context(CallContext(Deadline.after(_EVERY_S, self._clock)))
            with contextlib.suppress(DatabaseUnavailableError, DeadlineExceededError):
                self._counts = await self._read()
            await asyncio.sleep(_EVERY_S)
