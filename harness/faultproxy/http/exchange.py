"""One request whose reply is still to come, in the order of the connection."""

from dataclasses import dataclass

from harness.faultproxy.http.rule import Claim
from harness.faultproxy.http.treatment import Treatment


@dataclass(slots=True)
class Exchange:
    """What the relay must know of a request to understand its reply."""

    method: bytes
    tenant: str | None = None
    treatment: Treatment | None = None
    duplicate: Claim | None = None
    copy: bytearray | None = None  # the whole request, once it was passed on, if it is to be sent again
    is_copy: bool = False  # the second of two: nobody asked for its reply
