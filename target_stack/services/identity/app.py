"""HTTP side of identity."""

from typing import Any

from aiohttp import web

from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.auth import TENANT_ADMIN
from target_stack.kit.call_context import current_caller
from target_stack.kit.errors import bad_request, json_answer
from target_stack.kit.keys import JWKS_PATH, KeyRing
from target_stack.kit.toolbox import Toolbox
from target_stack.services.identity.domain import LIFETIME_S, Login, TokenIssuer
from target_stack.services.identity.store import SCHEMA, IdentityStore


def build(toolbox: Toolbox) -> Service:
    """Wire the service."""
    database = toolbox.database()
    store = IdentityStore(database)
    issuer = TokenIssuer(store, toolbox.clock)

    async def own_keys() -> bytes:
        return issuer.key.jwks()

    keys = KeyRing(own_keys, toolbox.clock)

    async def prepare() -> None:
        await database.open(SCHEMA)
        await store.seed(toolbox.settings.tenants.values())
        await issuer.open()
        await keys.load()

    async def token(request: web.Request) -> web.Response:
        login = _parse_login(await read_json(request))
        body = {
            "access_token": await issuer.issue(login),
            "token_type": "Bearer",
            "expires_in": LIFETIME_S,
            "tenant": login.tenant,
        }
        return json_answer(body, headers={"Cache-Control": "no-store"})

    async def jwks(_request: web.Request) -> web.Response:
        return web.Response(body=issuer.key.jwks(), content_type="application/json")

    async def users(_request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        listed = [
            {"tenant": user.tenant, "name": user.name, "roles": list(user.roles)}
            for user in await store.list_users(tenant)
        ]
        return json_answer({"tenant": tenant, "users": listed})

    routes = (
        Route("POST", "/identity/token", token, role=None),
        Route("GET", JWKS_PATH, jwks, role=None),
        Route("GET", "/identity/users", users, role=TENANT_ADMIN),
    )
    return Service(routes, prepare, database.close, keys)


def _parse_login(body: Any) -> Login:
    if not isinstance(body, dict):
        raise bad_request("expected an object with tenant and client_secret")
    login = Login(body.get("tenant", ""), body.get("user", "app"), body.get("client_secret", ""))
    for name, value in (("tenant", login.tenant), ("user", login.user), ("client_secret", login.secret)):
        if not isinstance(value, str) or not value or "\x00" in value or len(value) > 200:
            raise bad_request(f"{name} must be a text of 1 to 200 characters")
        if not value.isprintable():
            raise bad_request(f"{name} holds characters that cannot be printed")
    return login
