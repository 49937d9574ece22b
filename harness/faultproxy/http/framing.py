"""Where HTTP/1.1 messages begin and end in a stream of bytes: heads, and three kinds of body.

Only boundaries are found here; the bytes stay as they are. What cannot be framed with certainty raises
`MalformedError`: the relay then passes bytes on without looking at them, as a plain TCP proxy would.
"""

import re
from typing import Protocol

MOST_HEAD_BYTES = 64 * 1024
_MOST_LINE_BYTES = 16 * 1024  # a chunk's size line or a trailer
_MOST_LENGTH_DIGITS = 18

_LENGTHS = re.compile(rb"\ncontent-length:([^\r\n]*)")
_CODINGS = re.compile(rb"\ntransfer-encoding:([^\r\n]*)")
_HEX = re.compile(rb"[0-9A-Fa-f]{1,15}[ \t]*\Z")
_DUBIOUS = re.compile(
    rb"\n(?:[ \t]|(?:content-length|transfer-encoding)[^:!#$%&'*+\-.^_`|~0-9a-z])"
)  # peers differ on it
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}) ([^ \r\n]{1,65000}) HTTP/1\.([01])\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [^\r\n]*)?\r\n")
_LINE_BEGINS = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}(?: [^\r\n]*)?\r?\Z")


class MalformedError(Exception):
    """These bytes are no HTTP/1.x that can be framed."""


class Body(Protocol):
    """One message body as its bytes arrive."""

    done: bool
    payload: list[bytes] | None

    def take(self, data: bytes, at: int) -> int:
        """Return where the body's bytes end within *data*, which starts at *at*. Raises MalformedError.

        Payload without framing is appended to `payload` when that is a list.
        """

    def can_end_with_stream(self) -> bool:
        """Tell whether the end of the stream is a proper end of the body."""


class SizedBody:
    """A body of known length."""

    __slots__ = ("done", "left", "payload")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = not length
        self.payload: list[bytes] | None = None

    def take(self, data: bytes, at: int) -> int:
        """See `Body.take`."""
        end = min(len(data), at + self.left)
        self.left -= end - at
        self.done = not self.left
        if self.payload is not None:
            self.payload.append(data[at:end])
        return end

    def can_end_with_stream(self) -> bool:
        """See `Body.can_end_with_stream`."""
        return False


class EndlessBody:
    """A reply's body that only the end of the stream ends."""

    __slots__ = ("done", "payload")

    def __init__(self) -> None:
        self.done = False
        self.payload: list[bytes] | None = None

    def take(self, data: bytes, at: int) -> int:
        """See `Body.take`."""
        if self.payload is not None:
            self.payload.append(data[at:])
        return len(data)

    def can_end_with_stream(self) -> bool:
        """See `Body.can_end_with_stream`."""
        return True


class ChunkedBody:
    """A body in chunks, trailers included."""

    __slots__ = ("_left", "_line", "_state", "done", "payload")

    def __init__(self) -> None:
        self.done = False
        self.payload: list[bytes] | None = None
        self._state = self._size_line
        self._line = b""
        self._left = 0

    def take(self, data: bytes, at: int) -> int:
        """See `Body.take`."""
        while at < len(data) and not self.done:
            at = self._state(data, at)
        return at

    def can_end_with_stream(self) -> bool:
        """See `Body.can_end_with_stream`."""
        return False

    def _size_line(self, data: bytes, at: int) -> int:
        line, at = self._read_line(data, at)
        if line is None:
            return at
        size = line.partition(b";")[0]
        if not _HEX.match(size):
            raise MalformedError
        self._left = int(size, 16)
        self._state = self._chunk if self._left else self._trailer
        return at

    def _chunk(self, data: bytes, at: int) -> int:
        end = min(len(data), at + self._left)
        if self.payload is not None:
            self.payload.append(data[at:end])
        self._left -= end - at
        if not self._left:
            self._state = self._after_chunk
        return end

    def _after_chunk(self, data: bytes, at: int) -> int:
        line, at = self._read_line(data, at)
        if line:
            raise MalformedError
        if line is not None:
            self._state = self._size_line
        return at

    def _trailer(self, data: bytes, at: int) -> int:
        line, at = self._read_line(data, at)
        self.done = line == b""
        return at

    def _read_line(self, data: bytes, at: int) -> tuple[bytes | None, int]:
        """Return the line without its CRLF, None while it is incomplete, and where it ends."""
        end = data.find(b"\n", at)
        stop = end + 1 if end >= 0 else len(data)
        line = self._line + data[at:stop]
        if len(line) > _MOST_LINE_BYTES:
            raise MalformedError
        if end < 0:
            self._line = line
            return None, stop
        if not line.endswith(b"\r\n"):
            raise MalformedError
        self._line = b""
        return line[:-2], stop


def find_head(data: bytes, at: int) -> int:
    """Return where the head that starts at *at* ends, 0 while it is incomplete.

    Raises MalformedError for a head that is too long or ends a line without CR.
    """
    end = data.find(b"\r\n\r\n", at) + 4
    stop = end if end >= 4 else len(data)
    if stop - at > MOST_HEAD_BYTES or data.count(b"\n", at, stop) != data.count(b"\r\n", at, stop):
        raise MalformedError
    return end if end >= 4 else 0


def may_begin_request(data: bytes, at: int) -> bool:
    """Tell whether an incomplete head can still become a request; what cannot must not be waited for."""
    return (_LINE_BEGINS.match(data, at) or _REQUEST_LINE.match(data, at)) is not None


def may_begin_reply(data: bytes, at: int) -> bool:
    """Tell whether an incomplete head can still become a reply."""
    return b"HTTP/1."[: len(data) - at] == data[at : at + 7]


class RequestHead:
    """A request's first lines. Everything but the framing is parsed only when a rule asks."""

    __slots__ = ("_fields", "keeps_alive", "lowered", "method", "raw", "target")

    def __init__(self, raw: bytes) -> None:
        line = _REQUEST_LINE.match(raw)
        if line is None:
            raise MalformedError
        self.raw = raw
        self.method: bytes = line[1]
        self.target: bytes = line[2]
        self.lowered = _lowered(raw)
        self.keeps_alive = _keeps_alive(self.lowered, line[3])
        self._fields: dict[str, str] | None = None

    def body(self) -> Body | None:
        """Return how the request's body is framed, None when there is none. Raises MalformedError."""
        lowered = self.lowered
        if b"\ntransfer-encoding:" in lowered:
            if _last_coding(lowered) != b"chunked":
                raise MalformedError
            return ChunkedBody()
        length = _content_length(lowered)
        return SizedBody(length) if length else None

    @property
    def fields(self) -> dict[str, str]:
        """Header fields by lower-case name; repeated ones are joined by ", "."""
        if self._fields is None:
            self._fields = parse_fields(self.raw)
        return self._fields

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition(b"?")[0].decode("latin-1")


class ReplyHead:
    """A reply's first lines."""

    __slots__ = ("keeps_alive", "lowered", "raw", "status")

    def __init__(self, raw: bytes) -> None:
        line = _STATUS_LINE.match(raw)
        if line is None:
            raise MalformedError
        self.raw = raw
        self.status = int(line[2])
        self.lowered = _lowered(raw)
        self.keeps_alive = _keeps_alive(self.lowered, line[1])

    @property
    def is_interim(self) -> bool:
        """Another reply to the same request follows."""
        return self.status < 200 and self.status != 101

    def body(self, method: bytes) -> Body | None:
        """Return how the body of a reply to *method* is framed, None when there is none. Raises MalformedError."""
        if method == b"HEAD" or self.status < 200 or self.status in (204, 304):
            return None
        lowered = self.lowered
        if b"\ntransfer-encoding:" in lowered:
            if _last_coding(lowered) != b"chunked":
                raise MalformedError  # some read to the end of the stream, some by the length
            return ChunkedBody()
        length = _content_length(lowered)
        if length is None:
            return EndlessBody()
        return SizedBody(length) if length else None


def parse_fields(head: bytes) -> dict[str, str]:
    """Return header fields by lower-case name; repeated ones are joined by ", "."""
    fields: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            key, value = name.lower(), value.strip(" \t")
            fields[key] = f"{fields[key]}, {value}" if key in fields else value
    return fields


def _lowered(head: bytes) -> bytes:
    """Return *head* in lower case. Raises MalformedError where its lines are not the same to every reader."""
    lowered = head.lower()
    if _DUBIOUS.search(lowered) or head.count(b"\r") != head.count(b"\r\n"):
        raise MalformedError
    return lowered


def _content_length(lowered: bytes) -> int | None:
    if b"\ncontent-length:" not in lowered:
        return None
    values = {value.strip(b" \t") for match in _LENGTHS.findall(lowered) for value in match.split(b",")}
    value = values.pop()
    if values or not value.isdigit() or len(value) > _MOST_LENGTH_DIGITS:
        raise MalformedError
    return int(value)


def _last_coding(lowered: bytes) -> bytes:
    return bytes(b",".join(_CODINGS.findall(lowered)).rpartition(b",")[2].strip(b" \t"))


def _keeps_alive(lowered: bytes, minor: bytes) -> bool:
    if b"\nconnection:" not in lowered:
        return minor == b"1"
    wishes = parse_fields(lowered).get("connection", "")
    return "close" not in wishes and (minor == b"1" or "keep-alive" in wishes)
