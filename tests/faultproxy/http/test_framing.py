"""Heads and bodies end where h11 says, however the bytes are cut; what is in doubt is malformed and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.faultproxy.http.framing import (
    MOST_HEAD_BYTES,
    ChunkedBody,
    EndlessBody,
    MalformedError,
    ReplyHead,
    RequestHead,
    find_head,
    may_begin_reply,
    may_begin_request,
)
from tests.faultproxy.http.messages import (
    conversations,
    h11_reply,
    h11_request,
    joined,
    scan_replies,
    scan_requests,
)

GET = b"GET / HTTP/1.1\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def cuttings(data):
    """*data* in one piece, in two at every place, and byte by byte."""
    yield [data]
    yield from ([data[:at], data[at:]] for at in range(1, len(data)))
    yield [data[at : at + 1] for at in range(len(data))]


@settings(max_examples=40, deadline=None)
@given(conversations())
def test_boundaries_are_those_of_h11_at_every_cut(conversation):
    asked, answered = conversation
    ends, at = [], 0
    for request in asked:
        size, payload = h11_request(joined(asked)[at:])
        assert payload == request.payload
        at += size
        ends.append(at)
    for pieces in cuttings(joined(asked)):
        scan = scan_requests(pieces)
        assert (scan.ends, scan.payloads) == (ends, [request.payload for request in asked])

    ends, at = [], 0
    for reply in answered:
        size, payload = h11_reply(joined(answered)[at:], reply.method, is_endless=reply.is_endless)
        assert payload == reply.payload
        at += size
        ends.append(at)
    for pieces in cuttings(joined(answered)):
        scan = scan_replies(pieces, [reply.method for reply in answered])
        assert (scan.ends, scan.payloads) == (ends, [reply.payload for reply in answered])


DOUBTFUL_LINES = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "two lengths in one": b"Content-Length: 5, 6\r\n",
    "a length with a sign": b"Content-Length: +5\r\n",
    "a length in hex": b"Content-Length: 0x5\r\n",
    "a length that is too long": b"Content-Length: 1" + b"0" * 18 + b"\r\n",
    "no length": b"Content-Length:\r\n",
    "a space before the colon": b"Content-Length : 5\r\n",
    "a tab before the colon": b"Transfer-Encoding\t: chunked\r\n",
    "a folded length": b"Content-Length:\r\n 5\r\n",
    "a length folded on": b"Content-Length: 5\r\n 0\r\n",
    "a folded coding": b"Transfer-Encoding:\r\n\tchunked\r\n",
    "a length within a fold": b"X: y\r\n Content-Length: 5\r\n",
    "a line that ends with LF": b"X: y\nContent-Length: 5\r\n",
    "a CR amid a line": b"X: y\rContent-Length: 5\r\n",
    "an unknown coding": b"Transfer-Encoding: gzip\r\n",
    "chunked before another coding": b"Transfer-Encoding: chunked, identity\r\n",
    "an odd spelling": b"Transfer-Encoding: xchunked\r\n",
}


def frame_request(raw):
    return RequestHead(raw[: find_head(raw, 0)]).body()


def frame_reply(raw):
    return ReplyHead(raw[: find_head(raw, 0)]).body(b"GET")


@pytest.mark.parametrize("lines", DOUBTFUL_LINES.values(), ids=DOUBTFUL_LINES.keys())
def test_a_head_that_peers_read_differently_is_malformed(lines):
    for first, frame in ((GET, frame_request), (OK, frame_reply)):
        with pytest.raises(MalformedError):
            frame(first + lines + b"\r\n")


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"X-Content-Length: 7\r\nContent-Length: 5\r\n",
        b"Content-Length-X: 7\r\ncontent-length:5\t\r\n",
    ],
)
def test_a_length_that_is_said_twice_alike_is_one(lines):
    assert frame_request(GET + lines + b"\r\n").left == 5
    assert frame_reply(OK + lines + b"\r\n").left == 5


def test_chunks_count_more_than_a_length():
    lines = b"Content-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    assert isinstance(frame_request(GET + lines), ChunkedBody)
    assert isinstance(frame_reply(OK + lines), ChunkedBody)


def test_only_a_reply_without_any_length_lasts_to_the_end():
    assert frame_request(GET + b"\r\n") is None
    assert isinstance(frame_reply(OK + b"\r\n"), EndlessBody)


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.2",
        b"GET / http/1.1",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET / a HTTP/1.1",
        b" GET / HTTP/1.1",
        b"G(T / HTTP/1.1",
        b"",
        b"G" * 65 + b" / HTTP/1.1",
        b"\x16\x03\x01\x02",
    ],
)
def test_a_first_line_that_is_no_request_is_malformed_and_not_waited_for(line):
    with pytest.raises(MalformedError):
        frame_request(line + b"\r\n\r\n")
    assert not may_begin_request(line + b"\r\nHost: a", 0)


@pytest.mark.parametrize("line", [b"HTTP/2 200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 099 Low", b"ICY 200 OK", b"200 OK"])
def test_a_first_line_that_is_no_status_is_malformed(line):
    with pytest.raises(MalformedError):
        frame_reply(line + b"\r\n\r\n")


@pytest.mark.parametrize("size", [MOST_HEAD_BYTES - 1, MOST_HEAD_BYTES, MOST_HEAD_BYTES + 1, MOST_HEAD_BYTES + 9])
def test_the_longest_head_is_the_same_at_every_cut(size):
    head = GET + b"X: " + b"y" * (size - len(GET) - 7) + b"\r\n\r\n"
    assert len(head) == size
    fits = size <= MOST_HEAD_BYTES
    for data in (head, head + b"more"):
        assert is_found(data) == fits
    for missing in range(1, 8):
        assert is_found(head[:-missing]) == (len(head) - missing <= MOST_HEAD_BYTES)


def is_found(data):
    try:
        find_head(data, 0)
    except MalformedError:
        return False
    return True


@pytest.mark.parametrize("ending", [b"\n\n", b"\n\r\n", b"\nX: y"])
def test_lines_without_cr_are_not_waited_for(ending):
    with pytest.raises(MalformedError):
        find_head(b"GET / HTTP/1.1\r\nHost: a" + ending, 0)


@pytest.mark.parametrize(
    "body",
    [b"x\r\n", b"\r\n", b"-1\r\n", b"5 5\r\n", b"1\nx", b"1\r\nxy\r\n", b"1\r\nx\n", b"f" * 16 + b"\r\n", b" 1\r\n"],
)
def test_broken_chunks_are_malformed(body):
    with pytest.raises(MalformedError):
        ChunkedBody().take(body, 0)


def test_an_endless_size_line_is_malformed():
    chunks = ChunkedBody()
    for _ in range(15):
        chunks.take(b"1;" + b"a" * 1022, 0)
    with pytest.raises(MalformedError):
        chunks.take(b"a" * 1025, 0)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=8),
            st.sampled_from(
                [
                    GET,
                    OK,
                    b"\r\n",
                    b"\r\n\r\n",
                    b"\n",
                    b": ",
                    b"Content-Length: ",
                    b"Transfer-Encoding: ",
                    b"chunked",
                    b"5",
                ]
            ),
            st.sampled_from([*DOUBTFUL_LINES.values()]),
        ),
        max_size=8,
    )
)
def test_hostile_heads_raise_nothing_else(parts):
    raw = b"".join(parts)
    for frame in (frame_request, frame_reply):
        try:
            body = frame(raw)
            if body is not None:
                body.take(raw, 0)
        except MalformedError:
            pass
    may_begin_request(raw, 0)
    may_begin_reply(raw, 0)
