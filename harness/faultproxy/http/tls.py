"""One end of TLS between two receivers, without a socket.

feed (sealed bytes from the peer) -> Tls -> opened (what they say)
sealer.feed (what to say)         -> Tls -> next (sealed bytes to the peer)
"""

import contextlib
import ssl
from collections.abc import Callable

from harness.faultproxy.stage import Ending, Flow, Receiver

_READ_BYTES = 64 * 1024
_MOST_QUEUED_BYTES = 64 * 1024


class Sealer:
    """Takes what is to be said to the peer."""

    def __init__(self, tls: "Tls") -> None:
        self._tls = tls

    def feed(self, data: bytes) -> None:
        """See `Receiver.feed`."""
        self._tls.say(data)

    def end(self, ending: Ending) -> None:
        """See `Receiver.end`."""
        self._tls.say_ending(ending)


class Tls:
    """Speaks TLS with one peer. What is to be said before the handshake is done waits; nothing here blocks."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        flow: Flow,
        server_hostname: str | None = None,
        admits: Callable[[ssl.SSLObject], bool] = lambda _: True,
        failed: Callable[[str], None],
    ) -> None:
        self.next: Receiver
        self.opened: Receiver
        self.sealer = Sealer(self)
        self.heard_farewell = False
        self.owes_farewell: Callable[[], bool] = lambda: True
        self._is_caller_of_peer = server_hostname is not None
        self._flow = flow
        self._admits = admits
        self._failed = failed
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_hostname is None, server_hostname=server_hostname
        )
        self._is_ready = False
        self._is_over = False
        self._has_heard_all = False
        self._queued: list[bytes] = []
        self._ending: Ending | None = None
        self._choking = False

    def start(self) -> None:
        """Begin the handshake where this end has to."""
        if self._is_caller_of_peer:
            self._advance()

    # -- from the peer -------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """See `Receiver.feed`."""
        self._incoming.write(data)
        self._advance()

    def end(self, ending: Ending) -> None:
        """See `Receiver.end`: the peer's TCP connection ended, with or without a farewell before it."""
        if not self._is_ready and ending is Ending.EOF and not self._is_over:
            self._fail("the peer left amid the handshake")
        self._hear_ending(ending)

    def _advance(self) -> None:
        try:
            if not self._is_ready and not self._is_over:
                self._shake_hands()
            if self._is_ready:
                self._hear()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLZeroReturnError:
            self.heard_farewell = True
            self._hear_ending(Ending.EOF)
        except ssl.SSLError as problem:
            self._fail(problem.reason or str(problem))
        self._flush()

    def _shake_hands(self) -> None:
        self._tls.do_handshake()
        if not self._admits(self._tls):
            self._fail("the peer's identity is not that of the link")
            return
        self._is_ready = True
        self._flush()
        queued, self._queued = self._queued, []
        for data in queued:
            self.say(data)
        self._set_choke(choking=False)
        if self._ending is not None:
            self.say_ending(self._ending)

    def _hear(self) -> None:
        while not self._has_heard_all:
            data = self._tls.read(_READ_BYTES)
            if not data:
                raise ssl.SSLZeroReturnError
            self.opened.feed(data)

    def _hear_ending(self, ending: Ending) -> None:
        if not self._has_heard_all:
            self._has_heard_all = True
            self.opened.end(ending)
        elif ending is not Ending.EOF:
            self.opened.end(ending)

    def _fail(self, why: str) -> None:
        """Tell the peer why, and close the connection."""
        if not self._is_over:
            self._is_over = True
            self._failed(why)
            self._flush()
            self.next.end(Ending.CUT)
            self._hear_ending(Ending.CUT)

    # -- to the peer ---------------------------------------------------------------------------------------------------

    def say(self, data: bytes) -> None:
        """Seal *data* and send it, now or when the handshake is done."""
        if self._is_over:
            return
        if not self._is_ready:
            self._queued.append(data)
            self._set_choke(choking=sum(map(len, self._queued)) > _MOST_QUEUED_BYTES)
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as problem:
            self._fail(problem.reason or str(problem))
        self._flush()

    def say_ending(self, ending: Ending) -> None:
        """End what is said to the peer; a gentle end says farewell first, where it is owed."""
        if not self._is_ready and not self._is_over and ending is Ending.EOF:
            self._ending = ending
            return
        if self._is_ready and not self._is_over and (ending is Ending.CUT or self._is_gentle(ending)):
            self._say_farewell()
        self._is_over = True
        self.next.end(ending)

    def _is_gentle(self, ending: Ending) -> bool:
        return ending is Ending.EOF and self.owes_farewell()

    def _say_farewell(self) -> None:
        with contextlib.suppress(ssl.SSLError, ValueError):  # it waits for the peer's, which need not come
            self._tls.unwrap()
        self._flush()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self.next.feed(data)

    def _set_choke(self, *, choking: bool) -> None:
        if choking != self._choking:
            self._choking = choking
            (self._flow.choke if choking else self._flow.unchoke)()
