"""Who gets in at the door, and how many at a time: per tenant, so that one tenant's surplus is its own trouble."""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from target_stack.kit.bulkhead import Bulkhead, BulkheadFullError, BulkheadSettings
from target_stack.kit.errors import ApiError
from target_stack.kit.protections import Protection
from target_stack.kit.ratelimit import Rate, RateLimited, RateLimiter, parse_rates
from target_stack.kit.toolbox import Toolbox

DEFAULT_RATES = "gold=60:60,silver=40:40"
DEFAULT_CONCURRENCY = 24
STRANGER_RATE = Rate(per_s=10, burst=20)
_MOST_LOGINS = 4096


class Admission:
    """Rate limit and concurrency bulkhead; RATE_LIMITS and TENANT_CONCURRENCY set their numbers."""

    def __init__(self, toolbox: Toolbox) -> None:
        settings = toolbox.settings
        rates = parse_rates(settings.environment.get("RATE_LIMITS") or DEFAULT_RATES)
        self._rate_of = {each.id: rates.get(each.plan, STRANGER_RATE) for each in settings.tenants.values()}
        self._good_logins: OrderedDict[bytes, None] = OrderedDict()
        self._secret = secrets.token_bytes(32)
        self._recorder = toolbox.recorder
        self._is_apart = toolbox.is_on(Protection.RATE_SHARE)
        self._limiter = RateLimiter(toolbox.clock) if toolbox.is_on(Protection.RATE_LIMIT) else None
        self._bulkheads = _bulkheads(toolbox) if toolbox.is_on(Protection.TENANT_BULKHEAD) else {}
        for tenant in settings.tenants:
            toolbox.metrics.rate_limited.labels(tenant)

    def check_rate(self, tenant: str) -> None:
        """Count one request of *tenant*; raise the 429 when it is over its plan's rate."""
        self._check(f"tenant:{tenant}" if self._is_apart else "tenants", self._rate_of[tenant], tenant)

    def check_login_rate(self, tenant: str, address: str, credentials: bytes) -> bool:
        """Count one login and tell whether its tenant is known; raise the 429 when there were too many.

        Anyone can name a tenant, so whoever guesses counts by address, apart from the tenant's requests and from those
        who came with *credentials* that were good before: guessing locks nobody out who knows the secret.
        """
        rate = self._rate_of.get(tenant)
        if rate is None:
            self._check(f"address:{address}", STRANGER_RATE, "")
            return False
        is_known = self._digest(credentials) in self._good_logins
        self._check(f"login:{tenant}" if is_known else f"guess:{tenant}:{address}", rate, tenant)
        return True

    def remember_login(self, credentials: bytes) -> None:
        """Take note of credentials that were good; only their digest is kept, with a key of this process."""
        digest = self._digest(credentials)
        self._good_logins[digest] = None
        self._good_logins.move_to_end(digest)
        if len(self._good_logins) > _MOST_LOGINS:
            self._good_logins.popitem(last=False)

    def _digest(self, credentials: bytes) -> bytes:
        return hmac.digest(self._secret, credentials, "sha256")

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncIterator[None]:
        """Hold one of the tenant's places; raise the 503 when all are taken."""
        bulkhead = self._bulkheads.get(tenant)
        if bulkhead is None:
            yield
            return
        try:
            async with bulkhead.place():
                yield
        except BulkheadFullError:
            message = "too many requests of this tenant are under way"
            raise ApiError(503, "too_many_concurrent_requests", message, retry_after_s=1.0) from None

    def _check(self, key: str, rate: Rate, tenant: str) -> None:
        wait_s = self._limiter.take(key, rate) if self._limiter is not None else 0.0
        if wait_s > 0:
            self._recorder.rate_limited(RateLimited(tenant))
            message = f"over the rate of {rate.per_s:g} requests a second"
            raise ApiError(429, "rate_limited", message, retry_after_s=wait_s)


def _bulkheads(toolbox: Toolbox) -> dict[str, Bulkhead]:
    limit = int(toolbox.settings.environment.get("TENANT_CONCURRENCY", DEFAULT_CONCURRENCY))
    return {
        tenant: toolbox.bulkhead(f"gateway:tenant:{tenant}", BulkheadSettings(limit))
        for tenant in toolbox.settings.tenants
    }
