"""The one place where protections are switched off, and only while they are being proved."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Protection(Enum):
    """What `PROTECTIONS_OFF` may name."""

    BREAKER = "breaker"
    BULKHEAD = "bulkhead"
    DEADLINE = "deadline"
    RETRY_BUDGET = "retry_budget"
    RATE_LIMIT = "rate_limit"
    TENANT_BULKHEAD = "tenant_bulkhead"
    OUTBOX = "outbox"
    DEAD_LETTER = "dead_letter"
    CQRS = "cqrs"
    EVENTS = "events"
    TRACE_CONTEXT = "trace_context"
    ACCESS_LOG = "access_log"
    FLAG_MEMORY = "flag_memory"
    STICKY_SHARES = "sticky_shares"
    SELF_HEALING = "self_healing"
    AUTOMATED_ROLLBACK = "automated_rollback"
    STRANGLER_SYNC = "strangler_sync"
    ANTI_CORRUPTION = "anti_corruption"
    TENANT_ISOLATION = "tenant_isolation"
    MOVE_CATCH_UP = "move_catch_up"
    RECOMMENDATIONS_BULKHEAD = "recommendations_bulkhead"
    BREAKER_GATE = "breaker_gate"
    BREAKER_RATE = "breaker_rate"
    BREAKER_CANCEL = "breaker_cancel"
    MTLS = "mtls"
    CALLER_AUTHORISATION = "caller_authorisation"
    TOKEN_VERIFICATION = "token_verification"
    SERVICE_ROLES = "service_roles"


@dataclass(frozen=True, slots=True)
class Protections:
    """Which protections are off; none in ordinary operation."""

    off: frozenset[Protection] = frozenset()
    proving: bool = False  # some service of the platform may run without one of its own

    def on(self, protection: Protection) -> bool:
        """Tell whether *protection* does its work."""
        return protection not in self.off


def read_protections(environment: Mapping[str, str]) -> Protections:
    """Read the list `PROTECTIONS_OFF`, heeded only where `PROOFS` is "on"; raise ValueError for an unknown name."""
    if environment.get("PROOFS") != "on":
        return Protections()
    names = (name.strip() for name in environment.get("PROTECTIONS_OFF", "").split(","))
    return Protections(frozenset(Protection(name) for name in names if name), proving=True)
