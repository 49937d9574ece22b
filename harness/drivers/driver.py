"""What a run needs of whatever runs its target: local processes today, containers or a foreign stack tomorrow."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.drivers.addresses import Addresses
from harness.drivers.guard import Emit, Guard
from harness.model.errors import TargetError
from harness.model.run.capabilities import Capability
from harness.model.run.clock import Clock
from harness.units.unit import Unit


@dataclass(frozen=True, slots=True)
class Setting:
    """The run in which a driver is used: where it writes, whom it tells, who guards what it starts."""

    run: Path
    run_id: str
    seed: int
    emit: Emit
    clock: Clock
    guard: Guard
    without: Sequence[str] = ()
    """Protections that are switched off."""
    looked_into: frozenset[str] = frozenset()
    """Links whose single requests faults may touch; the bytes of all others just pass."""
    urgent: asyncio.Event = field(default_factory=asyncio.Event)
    """Once set, a stop no longer waits for services to drain."""


class Driver(Protocol):
    """A target that can be started, watched, broken and stopped.

    Methods that are no coroutines may be called from any thread; those about faults (`unit_of` and below) block for a
    few seconds and must not be called from the event loop.
    """

    @property
    def name(self) -> str:
        """The deployment, as target.yaml names it; it stands in messages."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What faults may ask of it."""
        ...

    # -- where things are ----------------------------------------------------------------------------------------------

    @property
    def listen_at(self) -> tuple[str, int]:
        """Host and port at which the target reaches this run's receiver of traces; port 0 where any will do."""
        ...

    @property
    def entry_url(self) -> str:
        """Where flows and tokens are sent; this does not go through the fault proxy."""
        ...

    @property
    def proxy_api(self) -> str:
        """Address of the fault proxy's API, host:port; its proxies are called like the links."""
        ...

    @property
    def where(self) -> Addresses:
        """Everything's address, links and further ports included."""
        ...

    @property
    def service_urls(self) -> Mapping[str, str]:
        """URL of each service that speaks HTTP, past the entry and past the fault proxy."""
        ...

    @property
    def identities(self) -> str | None:
        """Folder of each {service}'s certificate and key, for requests straight at services."""
        ...

    @property
    def metrics_endpoints(self) -> Mapping[str, str]:
        """URL of the Prometheus metrics of each service that has them."""
        ...

    @property
    def pids(self) -> Mapping[str, int]:
        """Process of each service, as far as this machine runs it."""
        ...

    @property
    def logs(self) -> Path:
        """Folder of `<service>.log` files, which may reach back before this run."""
        ...

    # -- from start to stop --------------------------------------------------------------------------------------------

    async def start(self, *, otlp: str = "") -> None:
        """Return when everything is ready to serve; traces go to *otlp*, or nowhere.

        Raises:
            TargetError: something does not start; it says what, why, and where to look.
        """
        ...

    async def stop(self) -> None:
        """Stop what `start` started, however far it got, and nothing else. Safe to repeat, and without `start`."""
        ...

    async def first_crash(self) -> TargetError:
        """Return when something ends that should not have."""
        ...

    # -- what faults ask -----------------------------------------------------------------------------------------------

    def unit_of(self, service: str) -> Unit | None:
        """Return what the service is now, without a supervisor that starts it again; None where nothing of it runs."""
        ...

    def expect_death(self, service: str) -> None:
        """The service is about to be killed: that is no crash of the run."""
        ...

    def revive(self, service: str) -> str:
        """Make sure that the service serves, starting it again where nobody else does; return why it does not."""
        ...

    def database_url(self, service: str) -> str:
        """Return the superuser's URL of a database service, past the fault proxy."""
        ...

    def url_at(self, service: str, place: str) -> str:
        """Return the URL of "/path" or "PORT:/path" of a service, past the fault proxy."""
        ...
