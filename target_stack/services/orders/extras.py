"""What is nice to have beside an order: asked for while the order is placed, left out when it is not there in time."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from target_stack.kit.breaker import BreakerOpenError, BreakerSettings
from target_stack.kit.bulkhead import BulkheadFullError, BulkheadSettings
from target_stack.kit.client import Call, LinkError, ServiceClient
from target_stack.kit.deadline import DeadlineExceededError
from target_stack.kit.inputs import is_sku
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import LinkPlan, Toolbox

_PATH = "/recommendations"
_OPTIONAL = LinkPlan(
    attempt_timeout_s=0.1,
    breaker=BreakerSettings(window_s=5.0, min_calls=10, slow_call_s=0.08),
    bulkhead=BulkheadSettings(limit=4),
)
_AS_IF_NEEDED = LinkPlan(attempt_timeout_s=15.0)


class Extras:
    """Asks recommendations, found at RECOMMENDATIONS_URL."""

    def __init__(self, toolbox: Toolbox) -> None:
        self._is_optional = toolbox.is_on(Protection.RECOMMENDATIONS_BULKHEAD)
        plan = _OPTIONAL if self._is_optional else _AS_IF_NEEDED
        self._client = toolbox.client("recommendations", toolbox.settings.required("RECOMMENDATIONS_URL"), plan)

    @asynccontextmanager
    async def beside(self, skus: Sequence[str]) -> AsyncIterator["asyncio.Future[list[str]]"]:
        """Ask while the block runs; the answer is what came by its end, [] when nothing did.

        Without the protection the block waits for recommendations first, however long they take.
        """
        asked: asyncio.Future[list[str]] = asyncio.ensure_future(recommended(self._client, skus))
        try:
            if not self._is_optional:
                await asyncio.wait([asked])
            yield asked
        finally:
            asked.cancel()


def come_so_far(asked: "asyncio.Future[list[str]]") -> list[str]:
    """Return the recommendations when they are there, [] otherwise."""
    return asked.result() if asked.done() and not asked.cancelled() else []


async def recommended(client: ServiceClient, skus: Sequence[str]) -> list[str]:
    """Return what goes with *skus*, [] when nobody can tell in time."""
    body = json.dumps({"skus": list(skus)}).encode()
    try:
        answer = await client.call(Call("POST", _PATH, _PATH, body=body, headers={"Content-Type": "application/json"}))
        named = answer.json()["recommended"] if answer.status == 200 else []
    except (BreakerOpenError, BulkheadFullError, LinkError, DeadlineExceededError, ValueError, KeyError, TypeError):
        return []
    return [sku for sku in named if is_sku(sku)] if isinstance(named, list) else []
