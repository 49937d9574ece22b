"""A shop whose path says how it answers, and whose orders go well, badly and nowhere in turns."""

import asyncio

from aiohttp import web

from tests.load.running import tenant_of

STEPS = {
    "good": {"path": "/good", "watermark": "tenant"},
    "rate-limited": {"path": "/status/429", "watermark": "tenant"},
    "unavailable": {"path": "/status/503"},
    "deadline": {"path": "/status/504"},
    "missing": {"path": "/status/404"},
    "moved": {"path": "/status/302"},
    "foreign": {"path": "/foreign", "watermark": "products[].tenant"},
    "unmarked": {"path": "/unmarked", "watermark": "tenant"},
    "hang": {"path": "/hang"},
    "trickle": {"path": "/trickle"},
    "abort": {"path": "/abort"},
    "half": {"path": "/half"},
}
FLOWS = {name: {"timeout": "500ms", "steps": [{"name": name, **step}]} for name, step in STEPS.items()} | {
    "journey": {
        "timeout": "2s",
        "steps": [
            {"name": "first", "path": "/good"},
            {"name": "second", "path": "/status/500"},
            {"name": "third", "path": "/good"},
        ],
    },
    "buy": {
        "timeout": "500ms",
        "steps": [
            {
                "name": "order",
                "method": "POST",
                "path": "/orders",
                "headers": {"Idempotency-Key": "{key}"},
                "body": {"sku": "sku-{number:1-9}", "quantity": "{number:2-2}"},
                "expect": 201,
                "ledger": {"name": "orders", "key": "{key}"},
            }
        ],
    },
}
LEDGERS = {
    "orders": {
        "path": "/orders?after={cursor}&since={run_started}",
        "keys": "orders[].key",
        "cursor": "next",
        "watermark": "orders[].tenant",
    }
}
ERRORS = {429: {"error": "rate_limited"}, 504: {"error": "deadline"}}
HEADERS = {429: {"Retry-After": "1"}, 302: {"Location": "/good"}}


class MisbehavingShop:
    """Handles every request of FLOWS and LEDGERS."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, str]] = []  # tenant and key of what it holds
        self.bodies: list[dict] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path.split("/")[1]
        if name == "status":
            status = int(request.path.split("/")[2])
            return web.json_response(ERRORS.get(status, {}), status=status, headers=HEADERS.get(status))
        if name == "orders":
            return await (self.order(request) if request.method == "POST" else self.page(request))
        return await getattr(self, name)(request)

    async def good(self, request):
        return web.json_response({"tenant": tenant_of(request)})

    async def foreign(self, request):
        return web.json_response({"products": [{"tenant": tenant_of(request)}, {"tenant": "somebody-else"}]})

    async def unmarked(self, _request):
        return web.json_response({"products": []})

    async def hang(self, _request):
        await asyncio.sleep(30)

    async def trickle(self, request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    async def abort(self, request):
        request.transport.abort()
        return web.Response()

    async def half(self, request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"tenant": "acme"}')
        request.transport.close()
        return response

    async def page(self, request):
        after, tenant = int(request.query["after"] or 0), tenant_of(request)
        mine = [{"tenant": owner, "key": key} for owner, key in self.orders if owner == tenant]
        following = after + 5 if after + 5 < len(mine) else None
        return web.json_response({"orders": mine[after : after + 5], "next": following})

    async def order(self, request):
        self.bodies.append(await request.json())
        turn = len(self.bodies) % 4
        if turn == 1:
            return web.json_response({"error": "rate_limited"}, status=429)
        if turn == 3:
            return web.json_response({"error": "down"}, status=503)
        self.orders.append((tenant_of(request), request.headers["Idempotency-Key"]))
        if turn == 2:
            await asyncio.sleep(5)
        return web.json_response({}, status=201)
