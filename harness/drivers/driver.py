"""What a run needs of whatever runs its target: local processes today, containers or a foreign stack tomorrow."""

from collections.abc import Mapping
from typing import Protocol

from harness.model.errors import TargetError


class Driver(Protocol):
    """A target that can be started, watched and stopped."""

    @property
    def entry_url(self) -> str:
        """Where flows and tokens are sent; this does not go through the fault proxy."""
        ...

    @property
    def proxy_api(self) -> str:
        """Address of the fault proxy's API, host:port; its proxies are called like the links."""
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

    async def start(self) -> None:
        """Return when everything is ready to serve.

        Raises:
            TargetError: something does not start; it says what, why, and where to look.
        """
        ...

    async def stop(self) -> None:
        """Stop whatever `start` started, as far as it got. Safe to call twice, and without `start`."""
        ...

    async def first_crash(self) -> TargetError:
        """Return when something ends that should not have."""
        ...
