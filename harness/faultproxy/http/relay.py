"""The requests of one connection: joins the caller's side and the callee's, and asks the link's rules.

caller -> [Tls] -> Requests -> [Tls] -> toxics -> callee        the upstream pipe
caller <- [Tls] <- Replies  <- [Tls] <- toxics <- callee        the downstream pipe
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from harness.faultproxy.clock import Clock
from harness.faultproxy.http.exchange import Exchange
from harness.faultproxy.http.framing import RequestHead
from harness.faultproxy.http.replies import Replies
from harness.faultproxy.http.requests import Requests
from harness.faultproxy.http.rule import Claim, Rule
from harness.faultproxy.http.treatment import Treatment
from harness.faultproxy.stage import Ending, Flow


class Rules(Protocol):
    """The rules of a link as its relays see them."""

    def has_any(self) -> bool:
        """Tell whether there is any rule at all."""

    def claims(self, head: RequestHead) -> tuple[list[Claim], str | None]:
        """Return the rules that claim this request, and its tenant where somebody asked for it."""


class Relay:
    """Frames both directions of one connection and lets rules act on single requests."""

    def __init__(
        self,
        rules: Rules,
        clock: Clock,
        *,
        up: Flow,
        down: Flow,
        is_caller_behind: Callable[[], bool],
        abort: Callable[[], None],
    ) -> None:
        self.clock = clock
        self.abort = abort
        self.claims = rules.claims
        self.has_rules = rules.has_any
        self.requests = Requests(self, up)
        self.replies = Replies(self, down)
        self.outstanding: deque[Exchange] = deque()
        self._down = down
        self._is_caller_behind = is_caller_behind
        self._observed_here: set[Rule] = set()

    def is_clear(self) -> bool:
        """Tell whether all replies are through, and the caller has taken them."""
        return not self.outstanding and not self._is_caller_behind()

    def touch(self, claim: Claim, tenant: str | None) -> None:
        """Count a request that feels a rule."""
        claim.rule.touch(tenant, is_new_connection=claim.rule not in self._observed_here)
        self._observed_here.add(claim.rule)

    def treatment(self, claims: Sequence[Claim], tenant: str | None) -> Treatment:
        """Return what *claims* do to one reply."""
        return Treatment(
            claims,
            out=self.replies.next,
            flow=self._down,
            clock=self.clock,
            touch=lambda claim: self.touch(claim, tenant),
            abort=self.abort,
            done=self.replies.treated_is_through,
        )

    def answer(self, data: bytes, *, closes: bool) -> None:
        """Send *data* to the caller in the callee's place."""
        self.replies.next.feed(data)
        if closes:
            self.replies.next.end(Ending.CUT)

    def reply_is_through(self, exchange: Exchange) -> None:
        """The first of the outstanding requests has its whole reply."""
        self.outstanding.popleft()
        if exchange.duplicate is not None:
            self._send_again(exchange, exchange.duplicate)
        if self.requests.is_waiting:
            self.requests.go_on()

    def _send_again(self, exchange: Exchange, claim: Claim) -> None:
        if exchange.copy is not None and self.requests.can_repeat(exchange) and claim.rule.is_alive:
            self.outstanding.append(Exchange(exchange.method, is_copy=True))
            self.touch(claim, exchange.tenant)
            self.requests.next.feed(bytes(exchange.copy))

    def go_opaque(self) -> None:
        """Replies can be told apart no more: from here on bytes are only passed on, both ways."""
        self.replies.go_opaque()
        self.outstanding.clear()
        self.requests.go_opaque()
        if not self.requests.is_waiting:
            self.requests.go_on()

    def rules_changed(self) -> None:
        """A rule is gone: what it held goes on at once."""
        self.requests.go_on()
        self.replies.rules_changed()

    def discard(self) -> None:
        """The connection is gone."""
        self.requests.discard()
        self.replies.discard()
