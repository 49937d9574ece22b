"""One rule at work: who it touches, and the evidence that it did."""

import random
from collections import Counter
from dataclasses import dataclass, field

from harness.faultproxy.chance import Chance
from harness.faultproxy.clock import Clock
from harness.faultproxy.http.actions import Action
from harness.faultproxy.http.framing import RequestHead
from harness.faultproxy.http.wire import RuleRequest

_MOST_TENANTS = 10_000  # a hostile header must not fill the memory


@dataclass(slots=True)
class RuleFelt:
    """What one rule touched so far. Counts only grow; they outlive the rule's removal."""

    requests: int = 0
    connections: int = 0
    tenants: Counter[str] = field(default_factory=Counter)
    first_observed_unix_ns: int | None = None

    def as_json(self) -> dict[str, object]:
        """Return what the API shows."""
        counts = {"requests": self.requests, "connections": self.connections, "tenants": dict(self.tenants)}
        return {**counts, "first_observed_unix_ns": self.first_observed_unix_ns}


class Rule:
    """A rule of one proxy, from its creation to its removal."""

    def __init__(self, request: RuleRequest, *, seed: int, clock: Clock) -> None:
        self.request = request
        self.name = request.name
        self.action: Action = request.action
        self.is_alive = True
        self.observed = RuleFelt()
        self._clock = clock
        self._seed = seed
        self._made_s = clock.now_s()
        self._matched = 0
        self._left = request.scope.next

    @property
    def age_s(self) -> float:
        """How long the rule exists."""
        return self._clock.now_s() - self._made_s

    def claims(self, head: RequestHead, tenant: str | None) -> Chance | None:
        """Decide whether this request is to be touched; return the chance for further draws if so.

        The coin of `share` is keyed by the request's number among those that match the rest; `next` counts the hits.
        """
        scope = self.request.scope
        if self._left == 0 or not scope.matches(head, tenant):
            return None
        self._matched += 1
        chance = Chance(self._seed, self.request.proxy, self.name, self._matched)
        if scope.share is not None and not chance.hits(scope.share):
            return None
        if self._left is not None:
            self._left -= 1
        return chance

    def touch(self, tenant: str | None, *, is_new_connection: bool) -> None:
        """Count a request that really feels the action now."""
        observed = self.observed
        observed.requests += 1
        observed.connections += is_new_connection
        if tenant is not None and (tenant in observed.tenants or len(observed.tenants) < _MOST_TENANTS):
            observed.tenants[tenant] += 1
        if observed.first_observed_unix_ns is None:
            observed.first_observed_unix_ns = self._clock.unix_ns()


@dataclass(frozen=True, slots=True)
class Claim:
    """A rule has claimed a request."""

    rule: Rule
    chance: Chance

    def random(self) -> random.Random:
        """Draws for this request alone."""
        return self.chance.stream()
