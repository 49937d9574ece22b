"""Identity's public keys: fetched at the start, asked for again once a minute and when a token names one that is new.

Identity publishes the next key before it signs with it, so that mostly nobody waits; while identity is away, those that
are known go on to count.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

from target_stack.kit.auth import TokenVerifier, UnknownKeyError
from target_stack.kit.call_context import Caller
from target_stack.kit.client import Call, LinkError, ServiceClient
from target_stack.kit.clock import Clock
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import LinkPlan, Toolbox

JWKS_PATH = "/.well-known/jwks.json"
_START_RETRY_S = 0.1
_ASK_AGAIN_S = 0.2  # anyone can name keys that do not exist: who does waits for the next answer, which all share
_GROWS_OLD_S = 60.0


class KeysUnavailableError(Exception):
    """The keys cannot be had now."""


class KeyRing:
    """Verifies tokens; goes on with the keys it knows while their source is away."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        clock: Clock,
        *,
        trusting: bool = False,
        remembers: bool = True,
    ) -> None:
        self._fetch = fetch
        self._verifier = TokenVerifier(clock, trusting=trusting, remembers=remembers)
        self._clock = clock
        self._asked_s = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Fetch the keys, again and again until there are some."""
        while not await self._refresh():  # noqa: ASYNC110 - identity is another process
            await asyncio.sleep(_START_RETRY_S)

    async def verify(self, token: str) -> Caller:
        """Return whom *token* proves; raise TokenRejectedError otherwise. May ask for new keys, now and then."""
        if self._age_s() > _GROWS_OLD_S:
            self._ask(contextvars.Context())  # in the background, and in nobody's trace
        try:
            return self._verifier.verify(token)
        except UnknownKeyError:
            await asyncio.shield(self._ask(contextvars.copy_context()))
            return self._verifier.verify(token)

    def _age_s(self) -> float:
        return self._clock.monotonic_s() - self._asked_s

    def _ask(self, context: contextvars.Context) -> "asyncio.Task[None]":
        """Return the question that is under way, or begin one: all who wait for new keys share it."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_in_time(), context=context)
            self._asking.add_done_callback(self._answered)
        return self._asking

    async def _ask_in_time(self) -> None:
        await asyncio.sleep(_ASK_AGAIN_S - self._age_s())
        await self._refresh()

    def _answered(self, _: "asyncio.Task[None]") -> None:
        self._asking = None

    async def _refresh(self) -> bool:
        self._asked_s = self._clock.monotonic_s()
        try:
            self._verifier.learn_keys(await self._fetch())
        except (KeysUnavailableError, ValueError):
            return False
        return self._verifier.has_keys


def keys_of_identity(toolbox: Toolbox) -> KeyRing:
    """Return the key ring that asks identity, found at IDENTITY_URL."""
    plan = LinkPlan(attempt_timeout_s=1.0)
    identity = toolbox.client("identity", toolbox.settings.required("IDENTITY_URL"), plan)
    trusting = not toolbox.is_on(Protection.TOKEN_VERIFICATION)
    remembers = toolbox.is_on(Protection.KEY_MEMORY)
    return KeyRing(lambda: _ask(identity), toolbox.clock, trusting=trusting, remembers=remembers)


async def _ask(identity: ServiceClient) -> bytes:
    try:
        answer = await identity.call(Call("GET", JWKS_PATH, JWKS_PATH, idempotent=True))
    except LinkError as failure:
        raise KeysUnavailableError from failure
    if answer.status != 200:
        raise KeysUnavailableError
    return answer.body
