"""The monolith's web face for clients, and the records that it exchanges with whatever grows beside it."""

import asyncio

from aiohttp import web

from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.call_context import current_caller, current_tenant
from target_stack.kit.errors import ApiError, bad_request, json_answer
from target_stack.kit.flags import flags_of_platform
from target_stack.kit.inputs import idempotency_key, int_parameter, text_parameter
from target_stack.kit.invoices import INVOICES_PATH, MAX_PAGE, Page, page_json, parse_amount, parse_cursor
from target_stack.kit.keys import keys_of_identity
from target_stack.kit.toolbox import Toolbox
from target_stack.services.legacy.model import DRIFTS, mandant_of, new_record, shown
from target_stack.services.legacy.store import SCHEMA, LegacyStore

RECORDS_PATH = "/m/saetze"
DRIFT_FLAG = "legacy.drift"


def build(toolbox: Toolbox) -> Service:
    """Wire the service."""
    database = toolbox.database()
    store = LegacyStore(database)
    keys = keys_of_identity(toolbox)
    flags = flags_of_platform(toolbox)

    async def prepare() -> None:
        await asyncio.gather(database.open(SCHEMA), keys.load(), flags.start())

    async def close() -> None:
        await flags.close()
        await database.close()

    async def create(request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        amount_cents, _ = parse_amount(await read_json(request))
        wanted = new_record(tenant, idempotency_key(request), amount_cents, toolbox.clock.unix_ns())
        kept = await store.put(wanted)
        if kept["BETRAG"] != wanted["BETRAG"]:
            raise ApiError(422, "key_reused", "this key belongs to another invoice")
        return json_answer(shown(kept, tenant).as_json(), status=201)

    async def listed(request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        page = _page(request)
        records = await store.page(mandant_of(tenant), page)
        return json_answer(page_json(tenant, [shown(each, tenant) for each in records], page.limit))

    async def records(request: web.Request) -> web.Response:
        after = int_parameter(request, "ab", default=0, lowest=0, highest=2**62)
        found = await store.changed(mandant_of(_tenant()), after, MAX_PAGE)
        drift = DRIFTS.get(flags.text(DRIFT_FLAG, default="none", tenant=_tenant()))
        handed_out = found if drift is None else [drift(each) for each in found]
        return json_answer({"SAETZE": handed_out, "STAND": found[-1]["LFDNR"] if found else after})

    async def put_record(request: web.Request) -> web.Response:
        record = await read_json(request)
        if not isinstance(record, dict) or record.get("MANDANT") != mandant_of(_tenant()):
            raise bad_request("a record of this mandant is expected")
        return json_answer(await store.put(record), status=201)

    routes = (
        Route("POST", INVOICES_PATH, create, success=201, callers=("gateway",)),
        Route("GET", INVOICES_PATH, listed, callers=("gateway",)),
        Route("GET", RECORDS_PATH, records, role=None, callers=("billing",)),
        Route("POST", RECORDS_PATH, put_record, role=None, success=201, callers=("billing",)),
    )
    return Service(routes, prepare, close, keys)


def _tenant() -> str:
    """Return the tenant that billing names: it follows the records without a user's token."""
    tenant = current_tenant()
    if not tenant:
        raise bad_request("name the tenant in x-tenant-id")
    return tenant


def _page(request: web.Request) -> Page:
    since_ns = int_parameter(request, "since", default=0, lowest=0, highest=2**63 - 1)
    limit = int_parameter(request, "limit", default=50, lowest=1, highest=MAX_PAGE)
    return Page(since_ns // 1_000_000_000, parse_cursor(text_parameter(request, "after")), limit)
