"""What a proxy knows of the HTTP on its link: how it is spoken, the rules, and the relays that ask them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.faultproxy.clock import Clock
from harness.faultproxy.errors import ApiError
from harness.faultproxy.http.framing import RequestHead
from harness.faultproxy.http.hops import join_plain, join_sealed
from harness.faultproxy.http.identity import Contexts, LinkIdentity, NoIdentityError
from harness.faultproxy.http.link_request import LinkRequest, Protocol
from harness.faultproxy.http.relay import Relay
from harness.faultproxy.http.rule import Claim, Rule, RuleFelt
from harness.faultproxy.http.wire import RuleRequest
from harness.faultproxy.pipe import Pipe


@dataclass(frozen=True, slots=True)
class Sight:
    """Whether single requests can be seen, why not, and what TLS needs."""

    why_not: str = ""
    contexts: Contexts | None = None


class SeenLink:
    """The HTTP side of one proxy. Rules act on connections that were opened when the link could be seen into."""

    def __init__(self, proxy: str, *, seed: int, clock: Clock) -> None:
        self.rules: dict[str, Rule] = {}
        self.observed: dict[str, RuleFelt] = {}
        self.relays: set[Relay] = set()
        self._proxy = proxy
        self._seed = seed
        self._clock = clock
        self._about: LinkRequest | None = None
        self._identity: LinkIdentity | None = None
        self._last_failure = ""
        self._failures = 0

    # -- what the link speaks ------------------------------------------------------------------------------------------

    def describe(self, about: LinkRequest) -> None:
        """Say what the link speaks; connections that are open stay as they are."""
        self._about = about
        self._identity = LinkIdentity(Path(about.caller_folder), Path(about.callee_folder)) if about.is_sealed else None

    def sight(self) -> Sight:
        """Tell whether a connection that opens now can be seen into."""
        about = self._about
        if about is None or about.protocol is Protocol.TCP:
            return Sight("the link is not described as http or https" if about is None else "the link speaks no HTTP")
        if about.protocol is Protocol.HTTP:
            return Sight()
        if self._identity is None:
            return Sight("the link is encrypted, and no identities were given")
        try:
            return Sight(contexts=self._identity.contexts())
        except NoIdentityError as problem:
            return Sight(str(problem))

    def as_json(self) -> dict[str, object]:
        """Return what `GET /harness/links` adds for this proxy."""
        why_not = self.sight().why_not
        shown: dict[str, object] = {"sees_http": not why_not}
        if why_not:
            shown["why"] = why_not
        if self._about is not None:
            shown["protocol"] = self._about.protocol.value
        if self._failures:
            shown |= {"tls_failures": self._failures, "last_tls_failure": self._last_failure}
        return shown

    # -- connections ---------------------------------------------------------------------------------------------------

    def join(self, up: Pipe, down: Pipe, *, abort: Callable[[], None]) -> Relay | None:
        """Put a relay into both pipes of a new connection; None where its requests cannot be seen."""
        sight = self.sight()
        if self._about is None or sight.why_not:
            return None
        relay = Relay(self, self._clock, up=up, down=down, is_caller_behind=lambda: down.is_behind, abort=abort)
        self.relays.add(relay)
        if sight.contexts is None:
            join_plain(relay, up, down)
        else:
            join_sealed(relay, up, down, about=self._about, contexts=sight.contexts, failed=self._note_failure)
        return relay

    def part(self, relay: Relay) -> None:
        """The connection of this relay is over."""
        relay.discard()
        self.relays.discard(relay)

    def _note_failure(self, why: str) -> None:
        self._failures += 1
        self._last_failure = why

    # -- rules ---------------------------------------------------------------------------------------------------------

    def add(self, request: RuleRequest) -> Rule:
        """Make a rule; open connections feel it at their next request. Raises ApiError (409) where none can be seen."""
        why_not = self.sight().why_not
        if why_not:
            raise ApiError(f"the proxy cannot see single requests of {self._proxy}: {why_not}", 409)
        rule = self.rules[request.name] = Rule(request, seed=self._seed, clock=self._clock)
        self.observed[request.name] = rule.observed
        return rule

    def remove(self, name: str) -> None:
        """Remove a rule: what it held goes on at once."""
        self.rules.pop(name).is_alive = False
        for relay in list(self.relays):
            relay.rules_changed()

    def remove_all(self) -> None:
        """Remove every rule; what they observed stays known."""
        for name in list(self.rules):
            self.remove(name)

    def has_any(self) -> bool:
        """See `Rules.has_any`."""
        return bool(self.rules)

    def claims(self, head: RequestHead) -> tuple[list[Claim], str | None]:
        """See `Rules.claims`."""
        if not self.rules or self._about is None:
            return [], None
        tenant = self._about.tenant.tenant_of(head.fields)
        drawn = ((rule, rule.claims(head, tenant)) for rule in list(self.rules.values()))
        return [Claim(rule, chance) for rule, chance in drawn if chance is not None], tenant

    def observed_json(self) -> dict[str, dict[str, object]]:
        """Return per rule what it touched."""
        return {name: observed.as_json() for name, observed in self.observed.items()}
