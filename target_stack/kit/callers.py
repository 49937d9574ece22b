"""Which service calls: read from the certificate that its connection was opened with."""

import ssl
from asyncio import BaseTransport
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

ANY_SERVICE = ("*",)
_TRUST_DOMAIN = "spiffe://platform/"


@dataclass(frozen=True, slots=True)
class Peer:
    """A service, proved by the certificate that ends at *expires_s*, Unix time."""

    service: str
    expires_s: float


def peer_of(transport: BaseTransport | None) -> Peer | None:
    """Return who opened the connection; None without a certificate that names exactly one service of the platform."""
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    return _peer(certificate) if certificate else None


def is_allowed(service: str, callers: tuple[str, ...]) -> bool:
    """Tell whether *service* is one of *callers*; nobody is where nobody is named."""
    return service in callers or callers == ANY_SERVICE


def _peer(certificate: Mapping[str, Any]) -> Peer | None:
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    if len(names) != 1 or not names[0].startswith(_TRUST_DOMAIN):
        return None
    return Peer(names[0].removeprefix(_TRUST_DOMAIN), _unix_s(certificate["notAfter"]))


@lru_cache(maxsize=256)
def _unix_s(not_after: str) -> float:
    return float(ssl.cert_time_to_seconds(not_after))
