"""The caller's side of a relay: where its requests begin and end, and what waits before it goes on."""

from typing import TYPE_CHECKING

from harness.faultproxy.clock import Timer
from harness.faultproxy.http.actions import Answer, Hang
from harness.faultproxy.http.answering import encode_answer
from harness.faultproxy.http.exchange import Exchange
from harness.faultproxy.http.framing import Body, MalformedError, RequestHead, find_head, may_begin_request
from harness.faultproxy.http.gate import HeldRequest
from harness.faultproxy.http.rule import Claim
from harness.faultproxy.http.treatment import treats_replies
from harness.faultproxy.stage import Ending, Flow, Receiver

if TYPE_CHECKING:
    from harness.faultproxy.http.relay import Relay

_MOST_PENDING_BYTES = 64 * 1024
_MOST_COPIED_BYTES = 1024 * 1024
_LOOK_AGAIN_S = 0.02


class Requests:
    """Takes what the caller sends. Requests that no rule claims pass as they came, several at a time if need be."""

    def __init__(self, relay: "Relay", flow: Flow) -> None:
        self.next: Receiver
        self.is_opaque = False
        self._relay = relay
        self._flow = flow
        self._pending = b""
        self._seen = 0  # so many of them were looked at already
        self._passed = 0  # so many of them were passed on already, before their head was complete
        self._body: Body | None = None
        self._held: HeldRequest | None = None
        self._answer: tuple[HeldRequest, Claim] | None = None  # once the body was read and dropped
        self._copied: Exchange | None = None
        self._is_serial = False  # the next request waits for all replies
        self._awaits_replies = False
        self._ending: Ending | None = None
        self._is_over = False
        self._choking = False
        self._timer: Timer | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether something here may go on when a reply is complete."""
        return self._held is not None or self._awaits_replies

    @property
    def is_clear(self) -> bool:
        """Whether bytes may as well bypass this side."""
        return self._passes_all and not self._pending and not self.is_waiting

    @property
    def _passes_all(self) -> bool:
        return self.is_opaque and self._answer is None

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """See `Receiver.feed`."""
        if self.is_clear:
            self.next.feed(data)
            return
        self._pending = self._pending + data if self._pending else data
        if not self.is_waiting:
            self.go_on()
        self._bound()

    def end(self, ending: Ending) -> None:
        """See `Receiver.end`. A caller that leaves while its request hangs, or with a reset, takes it along."""
        if not self.is_waiting:
            self._pass_ending(ending)
        elif ending is not Ending.EOF or (self._held is not None and self._held.hangs):
            self.discard()
            self.next.end(Ending.CUT if ending is Ending.EOF else ending)
        else:
            self._ending = ending

    def _pass_ending(self, ending: Ending) -> None:
        pending, self._pending = self._pending[self._passed :], b""
        if pending and not self._is_over:
            self.next.feed(pending)
        self._is_over = True
        self.next.end(ending)

    def go_on(self) -> None:
        """Pass on what may go: bytes came, a reply is through, time has passed, or a rule is gone."""
        while not self._is_over:
            if (self._awaits_replies and self._must_wait()) or not self._let_go():
                break
            self._frame()
            if self._held is None:
                break
        if self._ending is not None and not self.is_waiting and not self._is_over:
            self._pass_ending(self._ending)
        self._bound()

    def _frame(self) -> None:
        data, at, start = self._pending, self._seen, self._passed
        self._pending, self._seen, self._passed = b"", 0, 0
        try:
            while at < len(data) and not self.is_waiting and not self._passes_all:
                if self._body is not None:
                    at = self._take_body(self._body, data, at)
                    start = at if self._answer is not None else start
                    self._end_body()
                    continue
                end = find_head(data, at)
                if not end:
                    if not may_begin_request(data, at):
                        raise MalformedError
                    self._passed = 0 if self._relay.has_rules() or self._must_wait() else len(data) - at
                    break
                if at < start:
                    at = self._take_late_head(RequestHead(data[at:end]), end)
                elif self._must_wait():
                    break
                else:
                    at, start = self._take_head(RequestHead(data[at:end]), data, at, start)
        except MalformedError:
            self.go_opaque()  # replies to what went before can still be told apart
            if self._answer is not None:
                at = start = len(data)
                self._end_answer(closes=True)
        if self._passes_all and not self.is_waiting:
            at = len(data)
        self._pending = data[at:]
        end = at + self._passed
        if end > start:
            self.next.feed(data if end - start == len(data) else data[start:end])

    def _take_late_head(self, head: RequestHead, end: int) -> int:
        """Take a head that was passed on in parts while there was no rule: none can claim it any more."""
        self._body = head.body()
        self._relay.outstanding.append(Exchange(head.method))
        return end

    def _take_head(self, head: RequestHead, data: bytes, at: int, start: int) -> tuple[int, int]:
        body, end = head.body(), at + len(head.raw)
        claims, tenant = self._relay.claims(head)
        if not claims:
            self._body = body
            self._relay.outstanding.append(Exchange(head.method))
            return end, start
        if at > start:
            self.next.feed(data[start:at])
        self._hold(HeldRequest(head, body, claims, tenant, self._relay.clock.now_s()))
        return end, end

    def _must_wait(self) -> bool:
        if self._is_serial:
            self._awaits_replies = not self._relay.is_clear()
            self._is_serial = self._awaits_replies
        if self._awaits_replies:
            self._look_again_later()
        return self._awaits_replies

    def _bound(self) -> None:
        choking = self.is_waiting and len(self._pending) > _MOST_PENDING_BYTES
        if choking != self._choking:
            self._choking = choking
            (self._flow.choke if choking else self._flow.unchoke)()

    # -- requests that a rule claimed ----------------------------------------------------------------------------------

    def _hold(self, held: HeldRequest) -> None:
        held.draw_delays()
        self._held = held
        hanging = [claim for claim in held.claims if isinstance(claim.rule.action, Hang)]
        for claim in [*hanging, *(claim for claim, delay_s in held.delays if delay_s)]:
            self._relay.touch(claim, held.tenant)

    def _let_go(self) -> bool:
        """Act on the request that is held, if there is one and its time has come; else say that it has not."""
        held = self._held
        if held is None:
            return True
        if not self._is_free(held):
            return False
        self._held = None
        self._act(held)
        return not self._is_over

    def _is_free(self, held: HeldRequest) -> bool:
        if held.hangs:
            return False
        if held.due_s > self._relay.clock.now_s():
            self._call_at(held.due_s)
            return False
        if held.needs_order and not self._relay.is_clear():
            self._look_again_later()
            return False
        return True

    def _act(self, held: HeldRequest) -> None:
        verdict = held.verdict()
        if verdict is None:
            self._pass_on(held)
        elif isinstance(verdict.rule.action, Answer):
            self._begin_answer(held, verdict)
        else:
            self._relay.touch(verdict, held.tenant)
            self._relay.abort()

    def _pass_on(self, held: HeldRequest) -> None:
        exchange = Exchange(held.head.method, held.tenant, duplicate=held.duplicate())
        treating = [claim for claim in held.alive() if treats_replies(claim)]
        if treating:
            exchange.treatment = self._relay.treatment(treating, held.tenant)
        self._is_serial = bool(treating or exchange.duplicate)
        if exchange.duplicate is not None:
            exchange.copy = bytearray(held.head.raw)
            self._copied = exchange if held.body is not None else None
        self._relay.outstanding.append(exchange)
        self._body = held.body
        self._pending, self._seen = held.head.raw + self._pending, len(held.head.raw)

    def _begin_answer(self, held: HeldRequest, claim: Claim) -> None:
        self._answer = held, claim
        self._body = held.body
        if self._body is None or self._waits_for_continue(held):
            self._end_answer(closes=self._body is not None)

    def _waits_for_continue(self, held: HeldRequest) -> bool:
        return "expect" in held.head.fields and not self._pending

    def _end_answer(self, *, closes: bool) -> None:
        assert self._answer is not None
        (held, claim), self._answer = self._answer, None
        self._relay.touch(claim, held.tenant)
        assert isinstance(claim.rule.action, Answer)
        closes = closes or not held.head.keeps_alive
        self._is_serial = True  # so that a caller which does not read cannot pile up answers
        self._relay.answer(encode_answer(claim.rule.action, held.head.method, closes=closes), closes=closes)

    # -- bodies --------------------------------------------------------------------------------------------------------

    def _take_body(self, body: Body, data: bytes, at: int) -> int:
        after = body.take(data, at)
        if self._copied is not None and self._copied.copy is not None:
            self._copied.copy += data[at:after]
            if len(self._copied.copy) > _MOST_COPIED_BYTES:
                self._copied.copy = None
                self._copied = None
        return after

    def _end_body(self) -> None:
        if self._body is None or not self._body.done:
            return
        self._body = self._copied = None
        if self._answer is not None:
            self._end_answer(closes=False)

    def can_repeat(self, exchange: Exchange) -> bool:
        """Tell whether the whole of the request was passed on, and more may follow."""
        return self._copied is not exchange and not self._is_over

    # -- waiting -------------------------------------------------------------------------------------------------------

    def _look_again_later(self) -> None:
        """Nobody tells when a caller has read what was sent to it."""
        self._call_at(self._relay.clock.now_s() + _LOOK_AGAIN_S)

    def _call_at(self, due_s: float) -> None:
        self._stop_timer()
        self._timer = self._relay.clock.call_at(due_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.go_on()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def go_opaque(self) -> None:
        """From here on bytes are only passed on."""
        self.is_opaque = True

    def discard(self) -> None:
        """The connection is gone."""
        self._stop_timer()
        self._held, self._pending, self._is_over, self._awaits_replies = None, b"", True, False
