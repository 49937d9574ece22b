"""The tokens of the tenants: asked for before the load starts, and again before they run out."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from harness.load.answer import parse_json, value_at
from harness.load.job import LoadJob
from harness.load.placeholders import Values, attributes_of
from harness.load.player import Send, request_of
from harness.model.run.clock import NS_PER_S, Clock

_TIMEOUT_S = 5.0
_RETRY_S = 2.0
_RENEW_AFTER = 2 / 3  # of the lifetime


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_ns: int | None  # None: it lives for ever


class Tokens:
    """One token a tenant. A renewal that fails keeps the old one, and is tried again soon."""

    def __init__(self, job: LoadJob, clock: Clock) -> None:
        self._target = job.plan.target
        self._run_started_ns = job.run_started_ns
        self._random = Random(job.plan.seed)
        self._clock = clock
        self._held: dict[str, _Token] = {}

    def of(self, tenant: str) -> str:
        """Return the tenant's token; "" where there is none."""
        held = self._held.get(tenant)
        return held.value if held else ""

    def due(self, tenants: Iterable[str]) -> list[str]:
        """Return the tenants that need a token now."""
        if self._target.token is None:
            return []
        now_ns = self._clock.now_ns()
        return [tenant for tenant in tenants if self._is_due(tenant, now_ns)]

    def fetch(self, tenant: str, send: Send) -> str | None:
        """Ask for the tenant's token; return what went wrong, in words, or None."""
        token = self._target.token
        if token is None:
            return None
        answer = send(request_of(token.request, self._values(tenant), _TIMEOUT_S, {}))
        asked = f"{tenant}: {token.request.method} {token.request.path}"
        document = parse_json(answer.body)
        value = value_at(document, token.value) if answer.status == token.request.expect else None
        if answer.status != token.request.expect:
            problem = f"{asked}: {answer.error or f'answered {answer.status}, expected {token.request.expect}'}"
        elif not isinstance(value, str):
            problem = f"{asked}: the answer holds no text at {token.value!r}"
        else:
            self._held[tenant] = _Token(value, self._renew_ns(document))
            return None
        self._try_again_soon(tenant)
        return problem

    def _is_due(self, tenant: str, now_ns: int) -> bool:
        held = self._held.get(tenant)
        return held is None or (held.renew_ns is not None and now_ns >= held.renew_ns)

    def _renew_ns(self, document: object) -> int | None:
        path = self._target.token.lifetime if self._target.token else None
        lifetime_s = value_at(document, path) if path else None
        if not isinstance(lifetime_s, int | float):
            return None
        return self._clock.now_ns() + int(lifetime_s * _RENEW_AFTER * NS_PER_S)

    def _try_again_soon(self, tenant: str) -> None:
        held = self._held.get(tenant)
        if held:
            self._held[tenant] = _Token(held.value, self._clock.now_ns() + int(_RETRY_S * NS_PER_S))

    def _values(self, tenant: str) -> Values:
        attributes = attributes_of(self._target.tenants[tenant])
        return Values(
            tenant, attributes, self._run_started_ns, self._random, key=f"token-{self._random.getrandbits(64):x}"
        )
