"""Identities that must get nobody in, for those who try the doors: written only where `ROGUES` is "on"."""

from collections.abc import Iterator

from target_stack.kit.clock import Clock
from target_stack.services.authority.domain import Authority, Issued

_IMPERSONATED = "gateway"
_LIFETIME_S = 24 * 3600.0
_LONG_OVER_S = -3600.0


def rogue_identities(authority: Authority, clock: Clock) -> Iterator[tuple[str, Issued]]:
    """Yield by folder name: one of an authority that calls itself ours, one that expired, one that nobody knows."""
    yield "rogue-foreign", Authority.fresh(clock).issue(_IMPERSONATED, _LIFETIME_S)
    yield "rogue-expired", authority.issue(_IMPERSONATED, _LONG_OVER_S)
    yield "rogue-stranger", authority.issue("rogue-stranger", _LIFETIME_S)
