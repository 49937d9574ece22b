"""HTTP side of payments."""

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.call_context import current_caller
from target_stack.kit.errors import bad_request, json_answer
from target_stack.kit.inputs import cursor_parameter, idempotency_key, int_parameter, is_count
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import Toolbox
from target_stack.services.payments.domain import PROVIDER_PLAN, Bill, Cashier
from target_stack.services.payments.store import SCHEMA, PaymentStore

MAX_AMOUNT_CENTS = 10**12
MAX_PAGE = 500
MAX_BIGINT = 2**63 - 1
MAX_REFERENCE = 200


def build(toolbox: Toolbox) -> Service:
    """Wire the service: a client, and with it a breaker and a bulkhead, for each provider that a tenant uses."""
    settings = toolbox.settings
    database = toolbox.database()
    keys = keys_of_identity(toolbox)
    provider_of = {tenant.id: tenant.provider for tenant in settings.tenants.values()}
    providers = {
        name: toolbox.client(name, settings.required(_url_variable(name)), PROVIDER_PLAN, _users(provider_of, name))
        for name in sorted(set(provider_of.values()))
    }
    store = PaymentStore(database)
    keeps_keys = toolbox.is_on(Protection.IDEMPOTENCY)
    cashier = Cashier(store, providers, provider_of, toolbox.clock, keeps_keys=keeps_keys)

    async def prepare() -> None:
        await asyncio.gather(database.open(SCHEMA), keys.load())

    async def pay(request: web.Request) -> web.Response:
        body = await read_json(request)
        amount_cents, currency = _parse_amount(body)
        bill = Bill(current_caller().tenant, idempotency_key(request), amount_cents, currency, _parse_reference(body))
        return json_answer(dataclasses.asdict(await cashier.pay(bill)), status=201)

    async def list_payments(request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        since_ns = int_parameter(request, "since", default=0, lowest=0, highest=MAX_BIGINT)
        limit = int_parameter(request, "limit", default=50, lowest=1, highest=MAX_PAGE)
        found = await store.list_since(tenant, since_ns, cursor_parameter(request, "after"), limit)
        last = found[-1] if len(found) == limit else None
        following = None if last is None else f"{last.created_ns}.{last.payment.key}"
        made = [dataclasses.asdict(each.payment) for each in found]
        return json_answer({"tenant": tenant, "payments": made, "next": following})

    routes = (
        Route("POST", "/payments", pay, success=201),
        Route("GET", "/payments", list_payments, callers=("gateway",)),
    )
    return Service(routes, prepare, database.close, keys, callers=("orders",))


def _users(provider_of: Mapping[str, str], provider: str) -> list[str]:
    return [tenant for tenant, used in provider_of.items() if used == provider]


def _url_variable(provider: str) -> str:
    return f"{provider.upper().replace('-', '_')}_URL"


def _parse_amount(body: Any) -> tuple[int, str]:
    if not isinstance(body, dict) or not is_count(body.get("amount_cents"), MAX_AMOUNT_CENTS):
        raise bad_request("amount_cents must be a positive integer")
    if body.get("currency") != "EUR":
        raise bad_request("currency must be EUR")
    return body["amount_cents"], body["currency"]


def _parse_reference(body: Any) -> str:
    reference = body.get("reference", "")
    if not isinstance(reference, str) or len(reference) > MAX_REFERENCE or not reference.isprintable():
        raise bad_request(f"reference must be a printable text of at most {MAX_REFERENCE} characters")
    return reference
