"""The three services that an order needs, each as the few questions that orders asks it."""

import json
from dataclasses import dataclass

from target_stack.kit.breaker import BreakerOpenError, BreakerSettings
from target_stack.kit.bulkhead import BulkheadFullError, BulkheadSettings
from target_stack.kit.client import Answer, Call, LinkError, ServiceClient
from target_stack.kit.errors import ApiError
from target_stack.kit.inputs import IDEMPOTENCY_KEY_HEADER
from target_stack.kit.toolbox import LinkPlan, Toolbox

_BULKHEAD = BulkheadSettings(limit=16, queue_limit=8, queue_wait_s=0.1)
_QUICK = BreakerSettings(window_s=5.0, min_calls=10, slow_call_s=0.3)
_SLOW = BreakerSettings(window_s=5.0, min_calls=10, slow_call_s=0.95)
CATALOG_PLAN = LinkPlan(attempt_timeout_s=0.4, max_attempts=3, breaker=_QUICK, bulkhead=_BULKHEAD)
INVENTORY_PLAN = LinkPlan(attempt_timeout_s=0.4, max_attempts=3, breaker=_QUICK, bulkhead=_BULKHEAD)
PAYMENTS_PLAN = LinkPlan(attempt_timeout_s=1.0, max_attempts=3, min_attempt_s=0.3, breaker=_SLOW, bulkhead=_BULKHEAD)

MAX_PRICE_CENTS = 10**9


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs."""

    cents: int
    currency: str


@dataclass(frozen=True, slots=True)
class Callees:
    """The clients of the links, each with its own breaker, bulkhead and retry budget."""

    catalog: ServiceClient
    inventory: ServiceClient
    payments: ServiceClient

    async def price(self, sku: str) -> Price:
        """Ask catalog for a price; raise the 404 when there is no such product."""
        call = Call("GET", f"/catalog/products/{sku}", "/catalog/products/{sku}", idempotent=True)
        answer = await _ask(self.catalog, call, "catalog_unavailable")
        if answer.status == 404:
            raise ApiError(404, "not_found", f"there is no product {sku!r}")
        _expect(answer, 200, "catalog_unavailable")
        price = _parse_price(answer.body)
        if price is None:
            raise _unavailable("catalog_unavailable")
        return price

    async def reserve(self, key: str, quantities: dict[str, int]) -> None:
        """Ask inventory to put goods aside; raise the 409 when there are not enough."""
        answer = await _ask(
            self.inventory, _post("/reservations", key, {"quantities": quantities}), "inventory_unavailable"
        )
        if answer.status == 409:
            raise ApiError(409, "out_of_stock", "not enough of at least one product is in stock")
        _expect(answer, 201, "inventory_unavailable")

    async def release(self, key: str) -> None:
        """Ask inventory to put goods back, whether or not they were ever put aside."""
        answer = await _ask(self.inventory, _post("/reservations/release", key, {}), "inventory_unavailable")
        _expect(answer, 200, "inventory_unavailable")

    async def pay(self, key: str, price: Price, *, reference: str) -> None:
        """Ask payments to take the money for the client's order *reference*; raise the 402 when it was declined."""
        body: dict[str, object] = {"amount_cents": price.cents, "currency": price.currency, "reference": reference}
        answer = await _ask(self.payments, _post("/payments", key, body), "payment_unavailable")
        if answer.status == 402:
            raise ApiError(402, "payment_declined", "the payment was declined")
        _expect(answer, 201, "payment_unavailable")


def make_callees(toolbox: Toolbox) -> Callees:
    """Return the clients, found at CATALOG_URL, INVENTORY_URL and PAYMENTS_URL."""
    required = toolbox.settings.required
    return Callees(
        catalog=toolbox.client("catalog", required("CATALOG_URL"), CATALOG_PLAN),
        inventory=toolbox.client("inventory", required("INVENTORY_URL"), INVENTORY_PLAN),
        payments=toolbox.client("payments", required("PAYMENTS_URL"), PAYMENTS_PLAN),
    )


def _parse_price(raw: bytes) -> Price | None:
    """Return the price in an answer of catalog; None where it makes no sense, for it must not become an order."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    cents, currency = (body.get("price_cents"), body.get("currency")) if isinstance(body, dict) else (None, None)
    if not isinstance(currency, str) or not currency or type(cents) is not int or not 0 < cents <= MAX_PRICE_CENTS:
        return None
    return Price(cents, currency)


def _post(path: str, key: str, body: dict[str, object]) -> Call:
    headers = {IDEMPOTENCY_KEY_HEADER: key, "Content-Type": "application/json"}
    return Call("POST", path, path, body=json.dumps(body).encode(), headers=headers, idempotent=True)


async def _ask(client: ServiceClient, call: Call, code: str) -> Answer:
    try:
        return await client.call(call)
    except BreakerOpenError as refusal:
        raise _unavailable(code, refusal.retry_after_s) from refusal
    except (BulkheadFullError, LinkError) as failure:
        raise _unavailable(code) from failure


def _expect(answer: Answer, status: int, code: str) -> None:
    if answer.status != status:
        raise _unavailable(code, answer.retry_after_s() or 1.0)


def _unavailable(code: str, retry_after_s: float = 1.0) -> ApiError:
    what = code.removesuffix("_unavailable")
    return ApiError(503, code, f"{what} is not available now; try again soon", retry_after_s=retry_after_s)
