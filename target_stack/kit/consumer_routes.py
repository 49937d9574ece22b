"""The routes that every consumer of events has: its dead letters for the tenant's admin, and the chain for proofs."""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from target_stack.kit.app import Route
from target_stack.kit.auth import TENANT_ADMIN, TENANT_USER
from target_stack.kit.broker import BrokerUnavailableError
from target_stack.kit.call_context import current_caller
from target_stack.kit.consumer import Apply, Consumer
from target_stack.kit.dead_letters import DeadLetter
from target_stack.kit.errors import ApiError, bad_request, json_answer
from target_stack.kit.events import Event, EventRejectedError, decode
from target_stack.kit.inbox import TooEarlyError
from target_stack.kit.toolbox import Toolbox

EVENTS_PATH = "/events"
_REPLAY_WITHIN_S = 20.0


def dead_letter_routes(consumer: Consumer) -> tuple[Route, ...]:
    """Return the routes with which a tenant's admin looks through its dead letters and replays them."""

    async def list_dead(_request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        with _broker_needed():
            letters = [_as_json(letter) async for letter in consumer.dead_letters.of(tenant)]
        return json_answer({"tenant": tenant, "dead_letters": letters})

    async def replay(_request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        with _broker_needed():
            replayed = await consumer.dead_letters.replay(tenant, consumer.apply)
        return json_answer({"tenant": tenant, "applied": replayed.applied, "still_dead": replayed.still_dead})

    return (
        Route("GET", "/dead-letters", list_dead, TENANT_ADMIN),
        Route("POST", "/dead-letters/replay", replay, TENANT_ADMIN, deadline_s=_REPLAY_WITHIN_S),
    )


def chain_routes(
    toolbox: Toolbox, apply: Apply, then: Callable[[bytes], Awaitable[None]] | None = None
) -> tuple[Route, ...]:
    """Return the route by which events come when they are calls in a chain: only where protections may be off."""
    if not toolbox.settings.protections.proving:
        return ()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            admission = await apply(_event(toolbox, body))
        except TooEarlyError as error:
            raise ApiError(409, "too_early", str(error)) from None
        if then is not None:
            await then(body)
        return json_answer({"outcome": admission.value})

    return (Route("POST", EVENTS_PATH, take),)


def _event(toolbox: Toolbox, body: bytes) -> Event:
    """Return the event of a call; it must be one of the caller's tenant."""
    try:
        kind = str(json.loads(body)["type"]).partition(".")
        tenant = current_caller().tenant
        return decode(f"{kind[0]}.{tenant}.{kind[2]}", body, toolbox.settings.tenants, TENANT_USER)
    except (ValueError, KeyError, TypeError, RecursionError, EventRejectedError) as error:
        raise bad_request(f"the event is not acceptable: {error}") from None


def _as_json(letter: DeadLetter) -> dict[str, object]:
    return {"number": letter.number, "subject": letter.subject, "cause": letter.cause}


@contextmanager
def _broker_needed() -> Iterator[None]:
    try:
        yield
    except BrokerUnavailableError:
        message = "the broker is not available now; try again soon"
        raise ApiError(503, "broker_unavailable", message, retry_after_s=1.0) from None
