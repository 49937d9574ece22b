"""What rules do to one reply: lose it, change its body, cut it short, or let it drip."""

import gzip
import json
import math
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from harness.faultproxy.clock import Clock, Timer
from harness.faultproxy.http.actions import Action, Corrupt, LoseReply, NullField, SlowBody, Truncate
from harness.faultproxy.http.framing import Body, ChunkedBody, ReplyHead, SizedBody, parse_fields
from harness.faultproxy.http.rule import Claim
from harness.faultproxy.stage import Ending, Flow, Receiver

MOST_GATHERED_BYTES = 1024 * 1024
_MOST_WAITING_BYTES = 64 * 1024
_DRIP_S = 0.05
_OF_REPLIES = (LoseReply, Truncate, Corrupt, SlowBody, NullField)

A = TypeVar("A", bound=Action)


def treats_replies(claim: Claim) -> bool:
    """Tell whether the claim's action happens to the reply."""
    return isinstance(claim.rule.action, _OF_REPLIES)


class Treatment:
    """The reply to one request on its way to the caller.

    The payload is taken out of its chunks and put into new ones, so that a change cannot break the framing. Order:
    a field is nulled, bytes are corrupted, the rest is cut off, and what is left drips.
    """

    def __init__(
        self,
        claims: Sequence[Claim],
        *,
        out: Receiver,
        flow: Flow,
        clock: Clock,
        touch: Callable[[Claim], None],
        abort: Callable[[], None],
        done: Callable[[], None],
    ) -> None:
        self._claims = list(claims)
        self._out, self._flow, self._clock = out, flow, clock
        self._touch, self._abort, self._done = touch, abort, done
        self._head: ReplyHead | None = None
        self._is_chunked = False
        self._lost: Claim | None = None
        self._gathered: bytearray | None = None
        self._left: float = math.inf  # bytes until the cut
        self._dripping: Claim | None = None
        self._waiting = bytearray()
        self._last: Ending | None = None
        self._is_complete = False
        self._choking = False
        self._timer: Timer | None = None

    # -- the reply as it comes in --------------------------------------------------------------------------------------

    def begin(self, head: ReplyHead, body: Body | None) -> None:
        """Take the head; *body* is None for a reply without one, which has nothing to change."""
        self._head, self._lost = head, self._claim(LoseReply)
        if self._lost is not None:
            return
        if body is None:
            self._out.feed(head.raw)
            return
        self._is_chunked = isinstance(body, ChunkedBody)
        self._prepare_cut(body)
        if self._claim(Corrupt) or self._claim(NullField):
            self._gathered = bytearray()
        else:
            self._out.feed(head.raw)

    def _prepare_cut(self, body: Body) -> None:
        cut = self._claim(Truncate)
        if cut and not (isinstance(body, SizedBody) and body.left <= _action(cut, Truncate).bytes):
            self._left = _action(cut, Truncate).bytes

    def take(self, payload: bytes) -> None:
        """Take a part of the body, without its framing."""
        if self._lost is not None or not payload:
            return
        if self._gathered is None:
            self._pass_on(payload)
            return
        self._gathered += payload
        if len(self._gathered) > MOST_GATHERED_BYTES:
            self._hand_out_gathered(is_whole=False)

    def finish(self) -> None:
        """The reply is complete."""
        if self._lost is not None:
            self._lose(self._lost)
            return
        if self._gathered is not None:
            self._hand_out_gathered(is_whole=True)
        if self._is_chunked and self._left >= 0:
            self._send(b"0\r\n\r\n")
        self._is_complete = True
        self._drain()

    def break_off(self, ending: Ending) -> None:
        """The callee ended amid its reply: pass on what there is, then the same ending."""
        if self._lost is not None:
            self._lose(self._lost)
            return
        if self._gathered is not None:
            self._hand_out_gathered(is_whole=False)
        self._last, self._left = self._last or ending, -1
        self._drain()

    def rules_changed(self) -> None:
        """A rule is gone: what it held goes on at once."""
        if self._gathered is not None and not (self._claim(Corrupt) or self._claim(NullField)):
            self._hand_out_gathered(is_whole=False)
        if self._timer is not None and math.isinf(self._rate()):
            self._timer.cancel()
            self._drip()

    def discard(self) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()

    # -- what happens to it --------------------------------------------------------------------------------------------

    def _lose(self, claim: Claim) -> None:
        self._touch(claim)
        self._abort()

    def _hand_out_gathered(self, *, is_whole: bool) -> None:
        assert self._head is not None
        body, self._gathered = bytes(self._gathered or b""), None
        nulled = self._null_field(self._head, body) if is_whole else None
        if nulled is None:
            self._out.feed(self._head.raw)
        else:
            body = nulled
            self._is_chunked = False
            self._out.feed(_with_length(self._head.raw, len(body)))
        self._pass_on(self._corrupt(body))

    def _null_field(self, head: ReplyHead, body: bytes) -> bytes | None:
        claim = self._claim(NullField)
        nulled = null_field(body, _action(claim, NullField).path, head) if claim else None
        if claim and nulled is not None:
            self._touch(claim)
        return nulled

    def _corrupt(self, body: bytes) -> bytes:
        claim = self._claim(Corrupt)
        if claim is None or not body or not _action(claim, Corrupt).bytes:
            return body
        self._touch(claim)
        return corrupt(body, _action(claim, Corrupt).bytes, claim.random())

    def _pass_on(self, payload: bytes) -> None:
        if self._left < 0:
            return  # cut already
        cut = self._claim(Truncate)
        if len(payload) <= self._left or cut is None:
            self._left = self._left - len(payload) if cut is not None else math.inf
            self._send(b"%x\r\n%b\r\n" % (len(payload), payload) if self._is_chunked and payload else payload)
            return
        self._touch(cut)
        kept, self._left = payload[: int(self._left)], -1
        self._send(b"%x\r\n%b" % (len(payload), kept) if self._is_chunked else kept)
        self._last = Ending.CUT
        self._drain()

    # -- drip ----------------------------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        slow = self._claim(SlowBody)
        if slow is not None and self._dripping is None and data:
            self._dripping = slow
            self._touch(slow)
        if self._dripping is None:
            self._out.feed(data)
        else:
            self._waiting += data
            self._drain()

    def _drain(self) -> None:
        if self._timer is None:
            self._drip()

    def _drip(self) -> None:
        self._timer = None
        if self._waiting:
            size = self._drop_size()
            data = bytes(self._waiting[:size])
            del self._waiting[:size]
            self._out.feed(data)
        self._set_choke(len(self._waiting) > _MOST_WAITING_BYTES)
        if self._waiting:
            self._timer = self._clock.call_at(self._clock.now_s() + self._pause_s(), self._drip)
        else:
            self._after_the_last()

    def _after_the_last(self) -> None:
        if self._last is not None:
            last, self._last, self._is_complete = self._last, None, False
            self._out.end(last)
        elif self._is_complete:
            self._is_complete = False
            self._done()

    def _rate(self) -> float:
        slow = self._dripping
        return _action(slow, SlowBody).rate if slow is not None and slow.rule.is_alive else math.inf

    def _drop_size(self) -> int:
        return len(self._waiting) if math.isinf(self._rate()) else max(1, int(self._rate() * _DRIP_S))

    def _pause_s(self) -> float:
        return max(1, int(self._rate() * _DRIP_S)) / self._rate()

    def _set_choke(self, choking: bool) -> None:
        if choking != self._choking:
            self._choking = choking
            (self._flow.choke if choking else self._flow.unchoke)()

    def _claim(self, kind: type[Action]) -> Claim | None:
        """Return the claim of this kind, unless its rule is gone."""
        return next((c for c in self._claims if c.rule.is_alive and isinstance(c.rule.action, kind)), None)


def _action(claim: Claim, kind: type[A]) -> A:
    assert isinstance(claim.rule.action, kind)
    return claim.rule.action


def corrupt(body: bytes, count: int, chance: random.Random) -> bytes:
    """Return *body* with so many bytes changed, or all if there are fewer, among its first megabyte."""
    changed = bytearray(body)
    reach = min(len(changed), MOST_GATHERED_BYTES)
    for place in chance.sample(range(reach), min(count, reach)):
        changed[place] ^= chance.randint(1, 255)
    return bytes(changed)


def null_field(body: bytes, path: str, head: ReplyHead) -> bytes | None:
    """Return the JSON *body* with the field at *path* set to null; None if it has none, or is nothing we can read."""
    coding = parse_fields(head.raw).get("content-encoding", "identity").lower()
    if coding not in ("identity", "gzip"):
        return None
    try:
        document = json.loads(_gunzip(body) if coding == "gzip" else body)
    except (ValueError, RecursionError, OSError, EOFError, zlib.error):
        return None
    if not any([_null(parent, key) for parent, key in list(_places([document], path.split(".")))]):  # noqa: C419
        return None
    plain = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return gzip.compress(plain, mtime=0) if coding == "gzip" else plain


def _gunzip(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    plain = unpacker.decompress(body, 16 * MOST_GATHERED_BYTES)
    if not unpacker.eof:
        raise EOFError  # cut short, or too large to look into
    return plain


def _places(documents: list[Any], path: list[str]) -> Iterator[tuple[Any, Any]]:
    """Yield each object or list that holds the last part of *path*, and under which key."""
    first, *rest = path
    for document in documents:
        for key in _keys(document, first):
            if rest:
                yield from _places([document[key]], rest)
            else:
                yield document, key


def _keys(document: Any, part: str) -> list[Any]:
    if isinstance(document, dict):
        return list(document) if part == "*" else [part] * (part in document)
    if isinstance(document, list):
        places = [str(place) for place in range(len(document))]
        return [place for place, name in enumerate(places) if part in ("*", name)]
    return []


def _null(parent: Any, key: Any) -> bool:
    was_there = parent[key] is not None
    parent[key] = None
    return was_there


def _with_length(head: bytes, length: int) -> bytes:
    lines = head[:-4].split(b"\r\n")
    kept = [
        line for line in lines if not line.lower().startswith((b"content-length:", b"transfer-encoding:", b"etag:"))
    ]
    return b"\r\n".join([*kept, b"Content-Length: %d" % length, b"", b""])
