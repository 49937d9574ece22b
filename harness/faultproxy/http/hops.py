"""Where a relay sits in the two pipes of a connection."""

from collections.abc import Callable
from typing import Protocol

from harness.faultproxy.http.identity import Contexts, names_of
from harness.faultproxy.http.link_request import LinkRequest
from harness.faultproxy.http.relay import Relay
from harness.faultproxy.http.tls import Tls
from harness.faultproxy.pipe import Pipe
from harness.faultproxy.stage import Ending, Receiver


class _HandsOn(Protocol):
    next: Receiver


class Hop:
    """Bytes go in at *entry* and come out of *last*, on to the next receiver of the pipe."""

    def __init__(self, entry: Receiver, last: _HandsOn, *, is_clear: Callable[[], bool]) -> None:
        self.feed: Callable[[bytes], None] = entry.feed
        self.end: Callable[[Ending], None] = entry.end
        self.is_clear = is_clear
        self._last = last

    @property
    def next(self) -> Receiver:
        """What takes the bytes."""
        return self._last.next

    @next.setter
    def next(self, receiver: Receiver) -> None:
        self._last.next = receiver


def join_plain(relay: Relay, up: Pipe, down: Pipe) -> None:
    """Let both pipes lead through the relay."""
    up.lead_first_through(Hop(relay.requests, relay.requests, is_clear=lambda: relay.requests.is_clear))
    down.lead_last_through(Hop(relay.replies, relay.replies, is_clear=lambda: relay.replies.is_clear))


def join_sealed(
    relay: Relay, up: Pipe, down: Pipe, *, about: LinkRequest, contexts: Contexts, failed: Callable[[str], None]
) -> None:
    """Let both pipes lead through the relay, with TLS ended before it and begun again behind it."""
    caller = Tls(
        contexts.server,
        flow=down,
        admits=lambda tls: not about.caller or about.caller in names_of(tls),
        failed=lambda why: failed(f"with the caller: {why}"),
    )
    callee = Tls(
        contexts.client, flow=up, server_hostname=about.callee, failed=lambda why: failed(f"with the callee: {why}")
    )
    caller.owes_farewell, callee.owes_farewell = lambda: callee.heard_farewell, lambda: caller.heard_farewell
    caller.opened, relay.requests.next = relay.requests, callee.sealer
    callee.opened, relay.replies.next = relay.replies, caller.sealer
    up.lead_first_through(Hop(caller, callee, is_clear=lambda: False))
    down.lead_last_through(Hop(callee, caller, is_clear=lambda: False))
    callee.start()
