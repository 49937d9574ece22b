"""A stack that stays up: `harness up` holds it in the foreground, `harness down` ends it from any terminal."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.drivers.local import LocalDriver
from harness.faults.safety.safety import Safety
from harness.model.files.target import Target
from harness.model.run.clock import SteadyClock
from harness.model.run.events import Event
from harness.model.run.plan import run_id
from harness.recording.writer import EventLog
from harness.runner.interruption import interruptible

LEASE_S = 5.0
NOWHERE = "http://127.0.0.1:9"  # the discard port: traces of a standing stack are dropped unless an endpoint is given


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a standing stack can be reached."""

    entry: str
    proxy_api: str
    services: dict[str, str]
    folder: Path


async def stand(
    target: Target,
    *,
    runs: Path,
    otlp: str | None,
    without: Sequence[str],
    listen: Callable[[Event], None],
    ready: Callable[[Addresses], None],
) -> None:
    """Start *target*, call *ready*, and hold it until a signal comes; a service that dies ends it (TargetError)."""
    clock = SteadyClock()
    folder = (runs / run_id("up", clock.anchor_utc_ns)).absolute()
    folder.mkdir(parents=True)
    log = EventLog(folder)

    def emit(event: Event) -> None:
        log.append(event)
        listen(event)

    with interruptible() as interruption:
        safety = Safety(folder, run_id=folder.name, lease_s=LEASE_S, emit=emit, clock=clock)
        driver = LocalDriver(
            target,
            run=folder,
            run_id=folder.name,
            otlp=otlp or NOWHERE,
            without=without,
            seed=0,
            emit=emit,
            clock=clock,
            safety=safety,
            urgent=interruption.urgent,
        )
        try:
            await safety.start()
            await driver.start()
            ready(Addresses(driver.entry_url, driver.proxy_api, dict(driver.metrics_endpoints), folder))
            raise await driver.first_crash()
        except asyncio.CancelledError:
            if interruption.by is None:
                raise
        finally:
            await driver.stop()
            await safety.dismiss()
            log.close()
