"""What is done without the protection `cqrs`: every question is handed on to orders, and summed up while one waits."""

from collections import Counter
from typing import Any

from target_stack.kit.client import Answer, Call, LinkError
from target_stack.kit.errors import ApiError
from target_stack.kit.toolbox import LinkPlan, Toolbox
from target_stack.services.insights.store import TOP, ProductTotal, Summary

_PLAN = LinkPlan(attempt_timeout_s=5.0)
_PAGE = 500
_ROUTE = "/orders"


class SummaryOfOrders:
    """Asks orders, found at ORDERS_URL, for all that there is."""

    def __init__(self, toolbox: Toolbox) -> None:
        self._orders = toolbox.client("orders", toolbox.settings.required("ORDERS_URL"), _PLAN)

    async def summary(self, tenant: str) -> Summary:
        """Return the sums of *tenant*; raise the 503 when orders does not answer."""
        orders, revenue_cents = 0, 0
        quantities: Counter[str] = Counter()
        revenues: Counter[str] = Counter()
        after: str | None = ""
        while after is not None:
            body = (await self._ask(after)).json()
            after = body["next"]
            for order in body["orders"]:
                orders, revenue_cents = orders + 1, revenue_cents + order["total_cents"]
                _count(order, quantities, revenues)
        top = sorted(revenues, key=lambda sku: (-revenues[sku], sku))[:TOP]
        products = tuple(ProductTotal(sku, quantities[sku], revenues[sku]) for sku in top)
        return Summary(tenant, orders, revenue_cents, 0, products)

    async def _ask(self, after: str) -> Answer:
        try:
            answer = await self._orders.call(
                Call("GET", f"{_ROUTE}?limit={_PAGE}&after={after}", _ROUTE, idempotent=True)
            )
        except LinkError as failure:
            raise _unavailable() from failure
        if answer.status != 200:
            raise _unavailable()
        return answer


def _count(order: dict[str, Any], quantities: Counter[str], revenues: Counter[str]) -> None:
    for line in order["lines"]:
        quantities[line["sku"]] += line["quantity"]
        revenues[line["sku"]] += line["quantity"] * line["price_cents"]


def _unavailable() -> ApiError:
    return ApiError(503, "orders_unavailable", "orders is not available now; try again soon", retry_after_s=1.0)
