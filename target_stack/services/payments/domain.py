"""Taking a payment through the provider of the tenant. No retries here: they have one home, in orders."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from target_stack.kit.breaker import BreakerOpenError, BreakerSettings
from target_stack.kit.bulkhead import BulkheadFullError, BulkheadSettings
from target_stack.kit.client import Answer, Call, LinkError, ServiceClient
from target_stack.kit.clock import Clock
from target_stack.kit.errors import ApiError
from target_stack.kit.inputs import IDEMPOTENCY_KEY_HEADER
from target_stack.kit.toolbox import LinkPlan
from target_stack.services.payments.store import Payment, PaymentStore

PROVIDER_PLAN = LinkPlan(
    attempt_timeout_s=0.7,
    breaker=BreakerSettings(window_s=4.0, min_calls=5, slow_call_s=0.5, probe_lease_s=2.0),
    bulkhead=BulkheadSettings(limit=10, queue_limit=10, queue_wait_s=0.2),
    third_party=True,
)


@dataclass(frozen=True, slots=True)
class Bill:
    """What is to be paid, once, for *key*."""

    tenant: str
    key: str
    amount_cents: int
    currency: str
    reference: str = ""


class Cashier:
    """Takes payments."""

    def __init__(
        self,
        store: PaymentStore,
        providers: Mapping[str, ServiceClient],
        provider_of: Mapping[str, str],
        clock: Clock,
        *,
        keeps_keys: bool = True,
    ) -> None:
        self._store = store
        self._providers = providers
        self._provider_of = provider_of
        self._clock = clock
        self._keeps_keys = keeps_keys

    async def pay(self, bill: Bill) -> Payment:
        """Return the payment for *bill*, taken now or before; raise ApiError when it cannot be taken."""
        if not self._keeps_keys:  # what is done without the protection `idempotency`
            bill = replace(bill, key=f"{bill.key}:{uuid.uuid4().hex[:8]}")
        known = await self._store.find(bill.tenant, bill.key)
        if known is not None:
            if (known.amount_cents, known.currency) != (bill.amount_cents, bill.currency):
                raise ApiError(422, "key_reused", "this key has paid another bill")
            return known
        provider = self._provider_of[bill.tenant]
        charge = await self._charge(provider, bill)
        payment = Payment(bill.tenant, bill.key, bill.amount_cents, bill.currency, provider, charge, bill.reference)
        await self._store.save(payment, self._clock.unix_ns())
        return payment

    async def _charge(self, provider: str, bill: Bill) -> str:
        try:
            answer = await self._providers[provider].call(_charge_call(bill))
        except (BreakerOpenError, BulkheadFullError) as refusal:
            retry_after_s = refusal.retry_after_s if isinstance(refusal, BreakerOpenError) else 1.0
            raise _unavailable(503, "provider_unavailable", provider, retry_after_s) from refusal
        except LinkError as failure:
            timed_out = failure.error_type == "timeout"
            code = "provider_timeout" if timed_out else "provider_failed"
            raise _unavailable(504 if timed_out else 502, code, provider) from failure
        return _charge_id(answer, provider)


def _charge_call(bill: Bill) -> Call:
    body = json.dumps({"amount_cents": bill.amount_cents, "currency": bill.currency}).encode()
    headers = {IDEMPOTENCY_KEY_HEADER: f"{bill.tenant}:{bill.key}", "Content-Type": "application/json"}
    return Call("POST", "/charges", "/charges", body=body, headers=headers, idempotent=True)


def _charge_id(answer: Answer, provider: str) -> str:
    if answer.status == 402:
        raise ApiError(402, "declined", "the provider declined the payment")
    if answer.status != 201:
        raise _unavailable(502, "provider_failed", provider)
    try:
        charge = answer.json()["charge"]
    except (ValueError, TypeError, KeyError):
        charge = None
    if not isinstance(charge, str) or not charge:
        raise _unavailable(502, "provider_failed", provider)
    return charge


def _unavailable(status: int, code: str, provider: str, retry_after_s: float | None = None) -> ApiError:
    message = f"{provider} could not take the payment"
    return ApiError(status, code, message, retry_after_s=retry_after_s, failed_dependency=provider)
