"""Identity's public keys: fetched at the start, kept for good, asked for again when a token names one that is new."""

import asyncio
from collections.abc import Awaitable, Callable

import jwt

from target_stack.kit.auth import TokenVerifier, UnknownKeyError
from target_stack.kit.call_context import Caller
from target_stack.kit.client import Call, LinkError, ServiceClient
from target_stack.kit.clock import Clock
from target_stack.kit.toolbox import LinkPlan, Toolbox

JWKS_PATH = "/.well-known/jwks.json"
_START_RETRY_S = 0.1
_ASK_AGAIN_S = 2.0


class KeysUnavailableError(Exception):
    """The keys cannot be had now."""


class KeyRing:
    """Verifies tokens; goes on with the keys it knows while their source is away."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes]], clock: Clock) -> None:
        self._fetch = fetch
        self._verifier = TokenVerifier(clock)
        self._clock = clock
        self._asked_s = float("-inf")

    async def load(self) -> None:
        """Fetch the keys, again and again until there are some."""
        while not await self._refresh():  # noqa: ASYNC110 - identity is another process
            await asyncio.sleep(_START_RETRY_S)

    async def verify(self, token: str) -> Caller:
        """Return whom *token* proves; raise TokenRejectedError otherwise. May ask for new keys, now and then."""
        try:
            return self._verifier.verify(token)
        except UnknownKeyError:
            if self._clock.monotonic_s() - self._asked_s < _ASK_AGAIN_S or not await self._refresh():
                raise
            return self._verifier.verify(token)

    async def _refresh(self) -> bool:
        self._asked_s = self._clock.monotonic_s()
        try:
            self._verifier.learn_keys(await self._fetch())
        except (KeysUnavailableError, ValueError, jwt.PyJWTError):
            return False
        return self._verifier.has_keys


def keys_of_identity(toolbox: Toolbox) -> KeyRing:
    """Return the key ring that asks identity, found at IDENTITY_URL."""
    plan = LinkPlan(attempt_timeout_s=1.0)
    identity = toolbox.client("identity", toolbox.settings.required("IDENTITY_URL"), plan)
    return KeyRing(lambda: _ask(identity), toolbox.clock)


async def _ask(identity: ServiceClient) -> bytes:
    try:
        answer = await identity.call(Call("GET", JWKS_PATH, JWKS_PATH, idempotent=True))
    except LinkError as failure:
        raise KeysUnavailableError from failure
    if answer.status != 200:
        raise KeysUnavailableError
    return answer.body
