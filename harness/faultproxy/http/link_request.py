"""How a link is described to the proxy: strict JSON, every mistake a 400 that names it."""

from dataclasses import dataclass, field
from enum import Enum

from harness.faultproxy.errors import bad_request_body, missing_field
from harness.faultproxy.http.tenant import TenantPlace
from harness.faultproxy.http.wire import read_object, read_text


class Protocol(Enum):
    """What is spoken on a link."""

    TCP = "tcp"
    HTTP = "http"
    HTTPS = "https"


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """What a link speaks, how its requests name their tenant, and whose identities its ends have."""

    protocol: Protocol
    tenant: TenantPlace = field(default_factory=TenantPlace)
    caller: str = ""
    callee: str = ""
    caller_folder: str = ""
    callee_folder: str = ""

    @property
    def is_sealed(self) -> bool:
        """Whether it is TLS, and the identities of both ends are known."""
        return self.protocol is Protocol.HTTPS and bool(self.caller_folder and self.callee_folder)


def parse_link(raw: object) -> LinkRequest:
    """Read a link's description. Raises ApiError (400)."""
    given = read_object(raw, "link", ("protocol", "tenant", "caller", "callee", "identities"))
    try:
        protocol = Protocol(given.get("protocol"))
    except ValueError:
        known = ", ".join(known.value for known in Protocol)
        raise bad_request_body(f"protocol must be one of {known}, not {given.get('protocol')!r}") from None
    tenant = read_object(given.get("tenant", {}), "tenant", ("header", "claim"))
    folders = read_object(given.get("identities", {}), "identities", ("caller", "callee"))
    request = LinkRequest(
        protocol,
        TenantPlace(**{name: read_text(value, f"tenant.{name}") for name, value in tenant.items()}),
        read_text(given.get("caller", ""), "caller"),
        read_text(given.get("callee", ""), "callee"),
        read_text(folders.get("caller", ""), "identities.caller"),
        read_text(folders.get("callee", ""), "identities.callee"),
    )
    if request.is_sealed and not request.callee:
        raise missing_field("callee")
    return request
