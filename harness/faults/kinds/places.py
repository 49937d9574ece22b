"""What faults need to know of a running target: where its proxy, units, databases and flags are."""

from typing import Protocol

from harness.units.unit import Unit


class Places(Protocol):
    """A driver as faults see it. Methods are called from threads, never from the event loop, and take a few seconds."""

    @property
    def proxy_api(self) -> str:
        """Address of the fault proxy's API, host:port; its proxies are called like the links."""
        ...

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
