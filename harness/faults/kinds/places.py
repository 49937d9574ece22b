"""What faults need to know of a running target: where its proxy, processes, databases and flags are."""

from collections.abc import Sequence
from typing import Protocol

import psutil


class Places(Protocol):
    """A driver as faults see it. Methods are called from threads, never from the event loop, and take a few seconds."""

    @property
    def proxy_api(self) -> str:
        """Address of the fault proxy's API, host:port; its proxies are called like the links."""
        ...

    def processes_of(self, service: str) -> Sequence[psutil.Process]:
        """Return the processes that are the service now, without a supervisor that starts them again."""
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
