"""HTTP side of a payment provider."""

from typing import Any

from aiohttp import web

from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.errors import ApiError, bad_request, json_answer
from target_stack.kit.inputs import idempotency_key, is_count
from target_stack.kit.toolbox import Toolbox
from target_stack.services.provider.domain import Till

MAX_AMOUNT_CENTS = 10**12


def build(toolbox: Toolbox) -> Service:
    """Wire the service; PROCESSING_MS is its speed, PARALLEL how many charges it works on at once."""
    environment = toolbox.settings.environment
    till = Till(
        processing_s=float(environment.get("PROCESSING_MS", "60")) / 1000,
        parallel=int(environment.get("PARALLEL", "64")),
    )

    async def prepare() -> None:
        """Nothing to wait for."""

    async def charge(request: web.Request) -> web.Response:
        key = idempotency_key(request)
        amount_cents, currency = _parse_amount(await read_json(request))
        made = await till.charge(key, amount_cents, currency)
        if not made.id:
            raise ApiError(402, "declined", "the card was declined")
        return json_answer(
            {"charge": made.id, "amount_cents": made.amount_cents, "currency": made.currency}, status=201
        )

    return Service((Route("POST", "/charges", charge, role=None, success=201),), prepare)


def _parse_amount(body: Any) -> tuple[int, str]:
    if not isinstance(body, dict) or not is_count(body.get("amount_cents"), MAX_AMOUNT_CENTS):
        raise bad_request("amount_cents must be a positive integer")
    if body.get("currency") != "EUR":
        raise bad_request("currency must be EUR")
    return body["amount_cents"], body["currency"]
