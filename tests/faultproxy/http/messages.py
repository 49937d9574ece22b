"""HTTP/1.1 messages that hypothesis makes up, as bytes, what h11 says of them, and what the proxy's framing does."""

from dataclasses import dataclass

import h11
from hypothesis import strategies as st

from harness.faultproxy.http.framing import ReplyHead, RequestHead, find_head, may_begin_reply, may_begin_request

HEX = b"0123456789abcdefABCDEF"
TOKENS = st.text("abcdefghijkXYZ-_0123456789", min_size=1, max_size=8).map(str.encode)
VALUES = st.text("abc ;,=:/\"'()é\t", max_size=12).map(lambda text: text.strip().encode("latin-1"))
BODIES = st.binary(max_size=60)


@dataclass(frozen=True)
class Message:
    """One message; `method` is that of the request it belongs to."""

    raw: bytes
    method: bytes
    payload: bytes
    is_endless: bool = False


def field_lines(fields):
    return b"".join(b"X-%b: %b\r\n" % field for field in fields)


FIELDS = st.lists(st.tuples(TOKENS, VALUES), max_size=3).map(field_lines)


@st.composite
def chunked(draw, payload):
    """Cut *payload* into chunks, with extensions, odd sizes' spellings and trailers."""
    raw, at = b"", 0
    while at < len(payload):
        size = draw(st.integers(1, len(payload) - at))
        spelling = draw(st.sampled_from([b"%x", b"%X", b"%04x"])) % size
        raw += spelling + draw(extensions) + b"\r\n" + payload[at : at + size] + b"\r\n"
        at += size
    return raw + b"0" + draw(extensions) + b"\r\n" + draw(FIELDS) + b"\r\n"


extensions = st.sampled_from([b"", b"", b";a", b";a=b", b";a=b;c=d", b'; a = "x;y"'])


@st.composite
def framed(draw, payload):
    """Return header lines and body for *payload*, by length or in chunks."""
    if draw(st.booleans()):
        name = draw(st.sampled_from([b"Transfer-Encoding", b"transfer-encoding", b"TRANSFER-ENCODING"]))
        return name + b":" + draw(st.sampled_from([b" chunked", b"chunked", b"\tChunked "])) + b"\r\n", draw(
            chunked(payload)
        )
    length = b"%d" % len(payload)
    value = draw(st.sampled_from([b" %b", b"%b", b" 0%b ", b" %b, %b"]))
    return b"Content-Length:" + value.replace(b"%b", length) + b"\r\n", payload


@st.composite
def requests(draw):
    method = draw(st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"X-ODD"]))
    lines, body = b"", b""
    payload = draw(BODIES) if method in (b"POST", b"PUT") else b""
    if payload or draw(st.booleans()):
        lines, body = draw(framed(payload))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.0"]))
    line = b"%b /%b?q=1 HTTP/%b\r\nHost: a\r\n" % (method, draw(TOKENS), version)
    return Message(line + draw(FIELDS) + lines + draw(FIELDS) + b"\r\n" + body, method, payload)


@st.composite
def replies(draw, method, *, may_be_endless=True):
    """A reply to *method*, with interim ones before it."""
    status = draw(st.sampled_from([200, 200, 200, 204, 304, 404, 503]))
    interim = draw(
        st.sampled_from([b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"])
    )
    has_body = method != b"HEAD" and status not in (204, 304)
    payload = draw(BODIES)
    if has_body and may_be_endless and draw(st.integers(0, 5)) == 0:
        lines, body, is_endless = b"", payload, True
    else:
        lines, body = draw(framed(payload))
        is_endless = False
    if not has_body:
        body, payload = b"", b""
    reason = draw(st.sampled_from([b" OK", b"", b" "]))
    head = b"HTTP/1.1 %d%b\r\n" % (status, reason) + draw(FIELDS) + lines + draw(FIELDS) + b"\r\n"
    return Message(interim + head + body, method, payload, is_endless)


@st.composite
def conversations(draw):
    """Requests in a row and the replies to them; only the last may be endless."""
    asked = draw(st.lists(requests(), min_size=1, max_size=4))
    answered = [
        draw(replies(request.method, may_be_endless=place == len(asked))) for place, request in enumerate(asked, 1)
    ]
    return asked, answered


def joined(messages):
    return b"".join(message.raw for message in messages)


def h11_request(data):
    """Return where the first request in *data* ends, and its body, as h11 has it."""
    return _read(h11.Connection(h11.SERVER), data, is_endless=False)


def h11_reply(data, method, *, is_endless):
    """Return where the first reply in *data* ends, and its body, as h11 has it."""
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    peer.send(h11.EndOfMessage())
    return _read(peer, data, is_endless=is_endless)


def _read(peer, data, *, is_endless):
    peer.receive_data(data)
    if is_endless:
        peer.receive_data(b"")
    payload = b""
    while not isinstance(event := peer.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA
        payload += event.data if isinstance(event, h11.Data) else b""
    return len(data) - len(peer.trailing_data[0]), payload


class Scan:
    """Frames a stream as the relay does; `ends` and `payloads` say what it found."""

    def __init__(self, begin, may_begin):
        self.ends, self.payloads = [], []
        self._begin, self._may_begin = begin, may_begin
        self._pending, self._gone = b"", 0
        self._body = None

    def feed(self, data):
        data, at = self._pending + data, 0
        while at < len(data):
            if self._body is None:
                end = find_head(data, at)
                if not end:
                    assert self._may_begin(data, at)
                    break
                is_whole, self._body = self._begin(data[at:end])
                at = end
                if self._body is not None:
                    self._body.payload = []
                elif is_whole:
                    self._note(at, b"")
            else:
                at = self._body.take(data, at)
            if self._body is not None and self._body.done:
                self._note(at, b"".join(self._body.payload))
        self._pending = data[at:]
        self._gone += at

    def end(self):
        if self._body is not None and self._body.can_end_with_stream():
            self._note(0, b"".join(self._body.payload))

    def _note(self, at, payload):
        self.ends.append(self._gone + at)
        self.payloads.append(payload)
        self._body = None


def scan_requests(pieces):
    scan = Scan(lambda raw: (True, RequestHead(raw).body()), may_begin_request)
    for piece in pieces:
        scan.feed(piece)
    return scan


def scan_replies(pieces, methods):
    methods = list(methods)

    def begin(raw):
        head = ReplyHead(raw)
        return (False, None) if head.is_interim else (True, head.body(methods.pop(0)))

    scan = Scan(begin, may_begin_reply)
    for piece in pieces:
        scan.feed(piece)
    scan.end()
    return scan
