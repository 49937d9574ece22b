"""A finding of several parts: each has a status of its own, the gravest decides and gives the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.result.finding import Cause, Status, worst


@dataclass(frozen=True, slots=True)
class Part:
    """One of the things that a mechanism has to do, and whether it did."""

    status: Status
    value: str = ""
    reason: str = ""
    cause: Cause | None = None


def gravest(parts: Sequence[Part]) -> Part:
    """Return the parts as one: the gravest status, its first cause, and every reason that goes with it."""
    status = worst(part.status for part in parts)
    deciding = [part for part in parts if part.status is status]
    return Part(
        status,
        ", ".join(part.value for part in parts if part.value),
        " ".join(dict.fromkeys(part.reason for part in deciding if part.reason)),
        next((part.cause for part in deciding if part.cause), None),
    )
