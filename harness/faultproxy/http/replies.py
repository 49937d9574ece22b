"""The callee's side of a relay: which reply belongs to which request, and what rules do to it."""

from typing import TYPE_CHECKING

from harness.faultproxy.http.exchange import Exchange
from harness.faultproxy.http.framing import Body, MalformedError, ReplyHead, find_head, may_begin_reply
from harness.faultproxy.stage import Ending, Flow, Receiver

if TYPE_CHECKING:
    from harness.faultproxy.http.relay import Relay
    from harness.faultproxy.http.treatment import Treatment

_MOST_PENDING_BYTES = 64 * 1024


class Replies:
    """Takes what the callee sends. Replies that no rule treats pass as they came."""

    def __init__(self, relay: "Relay", flow: Flow) -> None:
        self.next: Receiver
        self.is_opaque = False
        self._relay = relay
        self._flow = flow
        self._pending = b""
        self._exchange: Exchange | None = None  # whose body is coming in
        self._body: Body | None = None
        self._treated: Exchange | None = None  # its reply is complete here, but not yet with the caller
        self._ending: Ending | None = None
        self._choking = False

    @property
    def is_clear(self) -> bool:
        """Whether bytes may as well bypass this side."""
        return self.is_opaque and not self._pending and self._treated is None

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """See `Receiver.feed`."""
        if self.is_opaque:
            self.next.feed(data)
            return
        self._pending = self._pending + data if self._pending else data
        self._frame()
        self._bound()

    def end(self, ending: Ending) -> None:
        """See `Receiver.end`."""
        treatment = self._exchange.treatment if self._exchange is not None else None
        if self._treated is not None and ending is not Ending.RESET:
            self._ending = ending
        elif treatment is not None and ending is not Ending.RESET:
            self._end_amid(treatment, ending)
        else:
            pending, self._pending = self._pending, b""
            if pending and not self._is_copy_next():
                self.next.feed(pending)
            self.next.end(ending)

    def _end_amid(self, treatment: "Treatment", ending: Ending) -> None:
        if self._body is not None and self._body.can_end_with_stream():
            self._ending = ending
            self._end_reply()
        else:
            treatment.break_off(ending)

    def _is_copy_next(self) -> bool:
        return bool(self._relay.outstanding) and self._relay.outstanding[0].is_copy

    def _frame(self) -> None:
        """Pass on all that may go."""
        data, at, start, self._pending = self._pending, 0, 0, b""
        try:
            while at < len(data) and self._treated is None and not self.is_opaque:
                if self._exchange is None:
                    end = self._find_head(data, at)
                    if not end:
                        break
                    at, start = self._take_head(data, at, end, start)
                else:
                    at, start = self._take_body(self._exchange, data, at, start)
                if self._exchange is not None and (self._body is None or self._body.done):
                    self._pass(data, start, at)
                    start = at
                    self._end_reply()
        except MalformedError:
            if self._break_off():
                return
            self._relay.go_opaque()
        if self.is_opaque:
            at = len(data)
        self._pending = data[at:]
        self._pass(data, start, at)

    def _break_off(self) -> bool:
        """Close the connection if a reply that does not pass as it is turns out malformed; its rest cannot pass."""
        treatment = self._exchange.treatment if self._exchange is not None else None
        if treatment is None and not self._is_copy_next():
            return False
        self._flow.stop_source()
        if treatment is None:
            self.next.end(Ending.CUT)
        else:
            assert self._body is not None
            treatment.take(b"".join(self._body.payload or []))
            treatment.break_off(Ending.CUT)
        return True

    def _find_head(self, data: bytes, at: int) -> int:
        """Return where the head ends; the end of *data* for bytes that nobody asked for, and 0 for "not yet"."""
        if not self._relay.outstanding:
            self._relay.go_opaque()  # a callee that speaks first, or says why it closes
            return len(data)
        end = find_head(data, at)
        if not end and not may_begin_reply(data, at):
            raise MalformedError
        return end

    def _take_head(self, data: bytes, at: int, end: int, start: int) -> tuple[int, int]:
        if self.is_opaque:
            return end, start
        exchange = self._relay.outstanding[0]
        head = ReplyHead(data[at:end])
        if not head.keeps_alive:
            exchange.duplicate = None  # nobody would read the copy
        if head.status == 101 or (exchange.method == b"CONNECT" and 200 <= head.status < 300):
            self._relay.go_opaque()
            return end, start
        if exchange.treatment is None and not exchange.is_copy:
            if not head.is_interim:
                self._exchange, self._body = exchange, head.body(exchange.method)
            return end, start
        self._pass(data, start, at)
        self._begin_kept(exchange, head)
        return end, end

    def _begin_kept(self, exchange: Exchange, head: ReplyHead) -> None:
        """Take the head of a reply that does not pass as it is."""
        if head.is_interim:
            if not exchange.is_copy:
                self.next.feed(head.raw)
            return
        self._exchange, self._body = exchange, head.body(exchange.method)
        if exchange.treatment is not None:
            exchange.treatment.begin(head, self._body)
            if self._body is not None:
                self._body.payload = []

    def _take_body(self, exchange: Exchange, data: bytes, at: int, start: int) -> tuple[int, int]:
        body = self._body
        assert body is not None
        after = body.take(data, at)
        if exchange.treatment is None:
            return after, after if exchange.is_copy else start
        assert body.payload is not None
        payload, body.payload = b"".join(body.payload), []
        exchange.treatment.take(payload)
        return after, after

    def _pass(self, data: bytes, start: int, end: int) -> None:
        if end > start:
            self.next.feed(data if end - start == len(data) else data[start:end])

    def _end_reply(self) -> None:
        exchange, self._exchange, self._body = self._exchange, None, None
        assert exchange is not None
        if exchange.treatment is None:
            self._relay.reply_is_through(exchange)
        else:
            self._treated = exchange
            exchange.treatment.finish()

    def treated_is_through(self) -> None:
        """The caller was sent all of the treated reply."""
        exchange, self._treated = self._treated, None
        assert exchange is not None
        self._relay.reply_is_through(exchange)
        if self._pending:
            self._frame()
        self._bound()
        if self._ending is not None:
            self.end(self._ending)

    # -- others --------------------------------------------------------------------------------------------------------

    def _bound(self) -> None:
        choking = self._treated is not None and len(self._pending) > _MOST_PENDING_BYTES
        if choking != self._choking:
            self._choking = choking
            (self._flow.choke if choking else self._flow.unchoke)()

    def go_opaque(self) -> None:
        """From here on bytes are only passed on."""
        self.is_opaque = True

    def rules_changed(self) -> None:
        """A rule is gone: what it held goes on at once."""
        for exchange in (self._exchange, self._treated):
            if exchange is not None and exchange.treatment is not None:
                exchange.treatment.rules_changed()

    def discard(self) -> None:
        """The connection is gone."""
        for exchange in (self._exchange, self._treated):
            if exchange is not None and exchange.treatment is not None:
                exchange.treatment.discard()
