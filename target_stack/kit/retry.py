"""Retry: exponential backoff with full jitter, a budget that bounds what retries add, a reason for each refusal."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class RetryRefusalReason(Enum):
    """Why a failed call is not tried again although attempts are left."""

    BUDGET = "budget"
    DEADLINE = "deadline"
    NOT_IDEMPOTENT = "not_idempotent"


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """Attempt number *attempt* (the first try is 0) of a call on *link* follows after the delay."""

    link: str
    attempt: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class RetryRefused:
    """A failed call of *tenant* on *link* is not tried again."""

    link: str
    reason: RetryRefusalReason
    tenant: str = ""


RetryEvent = RetryScheduled | RetryRefused


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays drawn from [0, base * 2^n], so that callers that failed together do not come back together."""

    base_s: float = 0.025
    cap_s: float = 0.25

    def delay_s(self, failed_attempts: int, rng: random.Random) -> float:
        """Return the pause after that many failed attempts (at least one)."""
        return rng.uniform(0.0, min(self.cap_s, self.base_s * 2.0**failed_attempts))


class RetryBudget:
    """A token bucket: each call pays in `ratio`, each retry takes one; it starts with `reserve`, never holds more."""

    def __init__(self, ratio: float = 0.15, reserve: float = 5.0) -> None:
        self._ratio = ratio
        self._most = reserve
        self._tokens = reserve

    def pay_in(self) -> None:
        """Count one call, whatever becomes of it."""
        self._tokens = min(self._most, self._tokens + self._ratio)

    def take(self) -> bool:
        """Take leave for one retry; False when the budget is spent."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, how soon and at whose expense a call is tried again; without a budget nothing bounds the sum."""

    max_attempts: int = 3
    backoff: Backoff = Backoff()
    budget: RetryBudget | None = None
    budget_of: Mapping[str, RetryBudget] = field(default_factory=dict)  # tenants that do not share `budget`
    min_attempt_s: float = 0.1
    max_retry_after_s: float = 0.5

    def budget_for(self, tenant: str) -> RetryBudget | None:
        """Return the budget that pays for the retries of *tenant*: its own, so that a failing neighbour spends none."""
        return self.budget_of.get(tenant, self.budget)

    def decide(
        self,
        *,
        failed_attempts: int,
        idempotent: bool,
        remaining_s: float,
        retry_after_s: float,
        rng: random.Random,
        tenant: str = "",
    ) -> float | RetryRefusalReason | None:
        """Return the delay before the next attempt, the reason for refusing one, or None where nothing is to decide.

        That is when the attempts are used up, or when the callee asked for a longer pause than a request can wait.
        """
        if failed_attempts >= self.max_attempts or retry_after_s > self.max_retry_after_s:
            return None
        if not idempotent:
            return RetryRefusalReason.NOT_IDEMPOTENT
        delay_s = max(retry_after_s, self.backoff.delay_s(failed_attempts, rng))
        if delay_s + self.min_attempt_s > remaining_s:
            return RetryRefusalReason.DEADLINE
        budget = self.budget_for(tenant)
        if budget is not None and not budget.take():
            return RetryRefusalReason.BUDGET
        return delay_s
