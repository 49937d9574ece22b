"""What every driver says of its addresses, from one `Addresses`."""

from collections.abc import Mapping

from harness.drivers.addresses import Addresses


class Whereabouts:
    """The part of `Driver` that is about where things are."""

    def __init__(self, where: Addresses) -> None:
        self._where = where

    @property
    def where(self) -> Addresses:
        """All addresses, links and further ports included."""
        return self._where

    @property
    def entry_url(self) -> str:
        """The entry service's own address."""
        return self._where.entry_url

    @property
    def proxy_api(self) -> str:
        """host:port of the fault proxy's API."""
        return self._where.proxy_api

    @property
    def service_urls(self) -> Mapping[str, str]:
        """URL of every service's own port."""
        return self._where.service_urls()

    @property
    def metrics_endpoints(self) -> Mapping[str, str]:
        """URL of each service's metrics."""
        return self._where.metrics_endpoints()

    def database_url(self, service: str) -> str:
        """Return the superuser's URL of a database."""
        return self._where.database_url(service)

    def url_at(self, service: str, place: str) -> str:
        """Return the URL of "/path" or "PORT:/path" of a service."""
        return self._where.url_at(service, place)
