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
    RETRY = "retry"
    IDEMPOTENCY = "idempotency"
    COMPENSATION = "compensation"
    TENANCY = "tenancy"
    KEY_OVERLAP = "key_overlap"
    TENANT_TELEMETRY = "tenant_telemetry"
    STALE_ANSWERS = "stale_answers"
    # What follows is a care that real systems forget. Each has a scenario that notices when it is missing.
    BREAKER_SHARE = "breaker_share"  # a breaker for each tenant
    BREAKER_SLOW = "breaker_slow"  # calls that were given up count as slow
    RETRY_SHARE = "retry_share"  # a budget for each tenant
    RETRY_BOUND = "retry_bound"  # attempts are counted
    RETRY_JITTER = "retry_jitter"  # pauses are drawn, not fixed
    RETRY_KEY = "retry_key"  # a retry carries the key of the first attempt
    ONE_ATTEMPT = "one_attempt"  # the library does not repeat requests by itself
    STALE_MARK = "stale_mark"  # an old answer says so
    STALE_TENANT = "stale_tenant"  # an old answer is the tenant's own
    POOL_SHARE = "pool_share"  # connections for each database and tenant
    TIMEOUT_ORDER = "timeout_order"  # a callee gives up before its caller
    ERROR_HANDLER = "error_handler"  # the error path works
    OUTBOX_ASIDE = "outbox_aside"  # nobody waits for the broker
    OUTBOX_ONCE = "outbox_once"  # an event is published once
    RELAY_SHARE = "relay_share"  # a relay for each tenant
    KEY_MEMORY = "key_memory"  # an empty document wipes nothing
    WRITE_ERRORS = "write_errors"  # a write that failed is not acknowledged
    RATE_SHARE = "rate_share"  # a rate for each tenant
    CONNECTION_RETURN = "connection_return"  # a failed transaction gives its connection back
    ERROR_CLASSES = "error_classes"  # a database in trouble is no mistake of the service
    ACK_AFTER_EFFECT = "ack_after_effect"  # an event is acknowledged when it has taken effect
    HONEST_ERRORS = "honest_errors"  # no empty list in place of an error
    TENANT_FILTER = "tenant_filter"  # a query names its tenant


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
