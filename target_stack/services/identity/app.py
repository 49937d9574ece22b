"""HTTP side of identity."""

import asyncio
from typing import Any

from aiohttp import web

from target_stack.kit.app import Route, Service, read_json
from target_stack.kit.auth import ALGORITHMS, TENANT_ADMIN
from target_stack.kit.call_context import current_caller
from target_stack.kit.callers import ANY_SERVICE
from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.deadline import DeadlineExceededError
from target_stack.kit.errors import bad_request, json_answer
from target_stack.kit.keys import JWKS_PATH, KeyRing
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import Toolbox
from target_stack.services.identity.domain import Login, TokenIssuer
from target_stack.services.identity.signing import LIFETIME_S, SigningKeys
from target_stack.services.identity.store import SCHEMA, IdentityStore

ROTATE_EVERY_S = 3600.0


def build(toolbox: Toolbox) -> Service:
    """Wire the service; SIGNING_ALGORITHM names that of its keys, SIGNING_KEY_LIFETIME_S how long each signs."""
    environment = toolbox.settings.environment
    database = toolbox.database()
    store = IdentityStore(database)
    algorithm = environment.get("SIGNING_ALGORITHM", "ES256")
    signing = SigningKeys(store, toolbox.clock, algorithm, overlaps=toolbox.is_on(Protection.KEY_OVERLAP))
    issuer = TokenIssuer(store, signing, toolbox.clock)
    rotating: list[asyncio.Task[None]] = []

    async def own_keys() -> bytes:
        return signing.jwks()

    keys = KeyRing(own_keys, toolbox.clock)

    async def prepare() -> None:
        await database.open(SCHEMA)
        await store.seed(toolbox.settings.tenants.values())
        await signing.open()
        await keys.load()
        rotating.append(asyncio.create_task(rotate_for_ever(), name="rotate signing keys"))

    async def close() -> None:
        for task in rotating:
            task.cancel()
        await database.close()

    async def rotate_for_ever() -> None:
        while True:
            await asyncio.sleep(float(environment.get("SIGNING_KEY_LIFETIME_S", ROTATE_EVERY_S)))
            try:
                await rotate_keys(None)
            except (DatabaseUnavailableError, DeadlineExceededError) as error:
                toolbox.log.warning("the signing key could not be rotated", error=str(error))

    async def rotate_keys(algorithm: str | None) -> None:
        await signing.rotate(algorithm)
        await keys.load()
        toolbox.log.info("the signing key was rotated", key=signing.current.id)

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
        return web.Response(body=signing.jwks(), content_type="application/json")

    async def rotate(request: web.Request) -> web.Response:
        body = await read_json(request)
        algorithm = body.get("algorithm") if isinstance(body, dict) else None
        if algorithm is not None and algorithm not in ALGORITHMS:
            raise bad_request(f"algorithm must be one of {', '.join(ALGORITHMS)}")
        await rotate_keys(algorithm)
        return json_answer({"signs": signing.current.id})

    async def users(_request: web.Request) -> web.Response:
        tenant = current_caller().tenant
        listed = [
            {"tenant": user.tenant, "name": user.name, "roles": list(user.roles)}
            for user in await store.list_users(tenant)
        ]
        return json_answer({"tenant": tenant, "users": listed})

    routes = (
        Route("POST", "/identity/token", token, role=None),
        Route("GET", JWKS_PATH, jwks, role=None, callers=ANY_SERVICE),
        Route("GET", "/identity/users", users, role=TENANT_ADMIN),
        Route("POST", "/identity/keys/rotate", rotate, role=None, callers=("operator",)),
    )
    return Service(routes, prepare, close, keys, callers=("gateway",))


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
