"""A relay without sockets: bytes come out as they went in, wherever they were cut, and boundaries are those of h11."""

import fnmatch
from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.faultproxy.http.framing import MalformedError, ReplyHead, RequestHead, find_head
from harness.faultproxy.http.link import SeenLink
from harness.faultproxy.http.link_request import parse_link
from harness.faultproxy.http.relay import Relay
from harness.faultproxy.http.scope import Scope
from harness.faultproxy.http.treatment import corrupt, null_field
from harness.faultproxy.http.wire import parse_rule
from harness.faultproxy.stage import Ending


class Clock:
    """A clock that stands until it is turned."""

    def __init__(self):
        self.now, self.calls = 100.0, []

    def now_s(self):
        return self.now

    def unix_ns(self):
        return int(self.now * 1e9)

    def call_at(self, due_s, callback):
        timer = Timer(due_s, callback)
        self.calls.append(timer)
        return timer

    def turn(self, seconds):
        self.now += seconds
        due = [timer for timer in self.calls if timer.due_s <= self.now and not timer.cancelled]
        self.calls = [timer for timer in self.calls if timer not in due]
        for timer in due:
            timer.callback()


class Timer:
    def __init__(self, due_s, callback):
        self.due_s, self.callback, self.cancelled = due_s, callback, False

    def cancel(self):
        self.cancelled = True


class Peer:
    """Keeps what it is given."""

    def __init__(self):
        self.got, self.ending = b"", None

    def feed(self, data):
        assert self.ending is None, "bytes after the end"
        self.got += data

    def end(self, ending):
        self.ending = self.ending or ending


class Flow:
    def __init__(self):
        self.chokes = 0

    def choke(self):
        self.chokes += 1

    def unchoke(self):
        self.chokes -= 1


class Bench:
    """A relay between a caller and a callee that keep what they get."""

    def __init__(self, *rules):
        self.clock, self.caller, self.callee = Clock(), Peer(), Peer()
        self.up, self.down, self.aborted, self.behind = Flow(), Flow(), False, False
        self.link = SeenLink("a -> b", seed=1, clock=self.clock)
        self.link.describe(parse_link({"protocol": "http", "tenant": {"header": "x-tenant-id"}}))
        for number, (kind, scope, more) in enumerate(rules):
            self.rule(f"r{number}", kind, scope, **more)
        self.relay = Relay(
            self.link, self.clock, up=self.up, down=self.down, is_caller_behind=lambda: self.behind, abort=self.abort
        )
        self.link.relays.add(self.relay)
        self.relay.requests.next, self.relay.replies.next = self.callee, self.caller

    def rule(self, name, kind, scope=None, **more):
        about = {"name": name, "proxy": "a -> b", "scope": scope or {}, "action": {"type": kind, **more}}
        self.link.add(parse_rule(about))

    def abort(self):
        self.aborted = True
        self.link.part(self.relay)

    def ask(self, data):
        self.relay.requests.feed(data)

    def answer(self, data):
        self.relay.replies.feed(data)


# -- messages ----------------------------------------------------------------------------------------------------------

tokens = st.text("abcXYZ-09", min_size=1, max_size=8)
values = st.text("abc XYZ=;/,", max_size=12).map(str.strip)
payloads = st.binary(max_size=60)


@st.composite
def bodies(draw):
    """Return the header line and the body's bytes."""
    how = draw(st.sampled_from(["none", "sized", "chunked"]))
    if how == "none":
        return b"", b""
    if how == "sized":
        body = draw(payloads)
        return b"Content-Length: %d\r\n" % len(body), body
    chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=4))
    extension = draw(st.sampled_from([b"", b";a=b"]))
    trailer = draw(st.sampled_from([b"", b"X-End: 1\r\n"]))
    body = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    return b"Transfer-Encoding: chunked\r\n", body + b"0\r\n" + trailer + b"\r\n"


@st.composite
def exchanges(draw):
    """Return a request and its reply."""
    method = draw(st.sampled_from([b"GET", b"POST", b"HEAD", b"DELETE", b"OPTIONS"]))
    path = draw(st.sampled_from([b"/", b"/a/b?c=d", b"*", b"/%20"]))
    more = "".join(f"X-{name}: {value}\r\n" for name, value in draw(st.lists(st.tuples(tokens, values), max_size=2)))
    framing, body = draw(bodies())
    request = method + b" " + path + b" HTTP/1.1\r\nHost: a\r\n" + more.encode() + framing + b"\r\n" + body
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    status = draw(st.sampled_from([b"200 OK", b"404 ", b"204 No Content", b"304 Not Modified", b"500 Oh \xe9"]))
    framing, body = draw(bodies())
    if status[:3] in (b"204", b"304"):
        framing = body = b""
    elif not framing:
        framing = b"Content-Length: 0\r\n"
    if method == b"HEAD":
        body = b""
    return request, interim + b"HTTP/1.1 " + status + b"\r\n" + framing + b"\r\n" + body


def cut(data, places):
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(exchanges(), min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=12))
def test_bytes_pass_as_they_are_and_every_request_has_its_reply(messages, places):
    bench = Bench(("hang", {"tenant": "nobody"}, {}))
    asked, answered = (b"".join(parts) for parts in zip(*messages, strict=True))
    for piece in cut(asked, places):
        bench.ask(piece)
    assert (bench.callee.got, len(bench.relay.outstanding)) == (asked, len(messages))
    for piece in cut(answered, places):
        bench.answer(piece)
    assert (bench.caller.got, len(bench.relay.outstanding)) == (answered, 0)
    assert not bench.relay.requests.is_opaque


@given(exchanges(), st.lists(st.integers(0, 2000), max_size=6))
def test_boundaries_are_those_that_h11_finds(message, places):
    request, reply = message
    for data, role, head_of in ((request, h11.SERVER, RequestHead), (reply.removeprefix(CONTINUE), h11.CLIENT, None)):
        end = find_head(data, 0)
        if head_of is RequestHead:
            body = RequestHead(data[:end]).body()
        else:
            body = ReplyHead(data[:end]).body(request.partition(b" ")[0])
        payload = b""
        at = end
        for piece in cut(data[end:], places):
            if body is not None and not body.done:
                body.payload = []
                assert body.take(piece, 0) == len(piece)
                payload += b"".join(body.payload)
            at += len(piece)
        assert body is None or body.done
        assert payload == by_h11(data, role, request)


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def by_h11(data, role, request):
    connection = h11.Connection(role)
    if role is h11.CLIENT:
        method = request.partition(b" ")[0]
        connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    payload = b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Data):
            payload += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return payload
        else:
            assert isinstance(event, h11.Request | h11.Response), event


HOSTILE = [
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
    b"GET  / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("data", HOSTILE)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_what_cannot_be_framed_passes_byte_for_byte(data, size):
    bench = Bench(("hang", {"tenant": "nobody"}, {}))
    for at in range(0, len(data), size):
        bench.ask(data[at : at + size])
    bench.relay.requests.end(Ending.EOF)
    assert (bench.callee.got, bench.callee.ending) == (data, Ending.EOF)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_pass_both_ways(data, size):
    bench = Bench(("hang", {"tenant": "nobody"}, {}))
    for at in range(0, len(data), size):
        bench.ask(data[at : at + size])
        bench.answer(data[at : at + size])
    bench.relay.requests.end(Ending.EOF)
    bench.relay.replies.end(Ending.EOF)
    assert (bench.callee.got, bench.caller.got) == (data, data)


@given(st.binary(max_size=200))
def test_heads_are_read_or_refused_and_nothing_else(data):
    for head_of in (RequestHead, ReplyHead):
        try:
            head = head_of(data)
            head.body() if head_of is RequestHead else head.body(b"GET")
        except MalformedError:
            pass


# -- what is held ------------------------------------------------------------------------------------------------------

ASK = b"GET /%d HTTP/1.1\r\nX-Tenant-Id: acme\r\n\r\n"
SAY = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d"


def test_delays_add_up_and_requests_keep_their_order():
    bench = Bench(("delay", {"route": "/1"}, {"latency_s": 1}), ("delay", {"route": "/1"}, {"latency_s": 2}))
    bench.ask(ASK % 0 + ASK % 1 + ASK % 2)
    assert bench.callee.got == ASK % 0
    bench.clock.turn(2.9)
    assert bench.callee.got == ASK % 0
    bench.clock.turn(0.2)
    assert bench.callee.got == ASK % 0 + ASK % 1 + ASK % 2


def test_a_delay_grows_over_its_ramp():
    bench = Bench(("delay", None, {"latency_s": 4, "ramp_s": 10}))
    bench.clock.turn(5)
    bench.ask(ASK % 0)
    bench.clock.turn(1.9)
    assert bench.callee.got == b""
    bench.clock.turn(0.2)
    assert bench.callee.got == ASK % 0


def test_a_thousand_pipelined_requests_that_are_claimed_need_no_stack():
    bench = Bench(("delay", None, {"latency_s": 0}))
    bench.ask(ASK % 1 * 3000)
    assert bench.callee.got == ASK % 1 * 3000


def test_a_caller_that_sends_on_while_its_request_hangs_is_choked():
    bench = Bench(("hang", {"route": "/1"}, {}))
    bench.ask(ASK % 1)
    for _ in range(3):
        bench.ask(b"x" * 30_000)
    assert bench.up.chokes == 1
    bench.link.remove("r0")
    assert bench.up.chokes == 0


def test_a_half_closed_caller_still_gets_its_delayed_reply():
    bench = Bench(("delay", None, {"latency_s": 1}))
    bench.ask(ASK % 1)
    bench.relay.requests.end(Ending.EOF)
    assert (bench.callee.got, bench.callee.ending) == (b"", None)
    bench.clock.turn(1.1)
    assert (bench.callee.got, bench.callee.ending) == (ASK % 1, Ending.EOF)
    bench.answer(SAY % 1)
    assert bench.caller.got == SAY % 1


def test_a_caller_that_leaves_a_hanging_request_cuts_the_connection():
    bench = Bench(("hang", None, {}))
    bench.ask(ASK % 1)
    bench.relay.requests.end(Ending.EOF)
    assert (bench.callee.got, bench.callee.ending) == (b"", Ending.CUT)
    bench.link.remove("r0")
    assert bench.callee.got == b""


def test_a_reset_overtakes_what_is_held():
    bench = Bench(("hang", None, {}))
    bench.ask(ASK % 1)
    bench.relay.requests.end(Ending.RESET)
    assert bench.callee.ending is Ending.RESET


def test_an_answer_waits_for_a_caller_that_is_behind():
    bench = Bench(("answer", None, {"status": 204}))
    bench.behind = True
    bench.ask(ASK % 1)
    assert bench.caller.got == b""
    bench.behind = False
    bench.clock.turn(0.1)
    assert bench.caller.got.startswith(b"HTTP/1.1 204 ")


def test_an_early_reply_to_a_request_whose_body_still_comes():
    bench = Bench(("corrupt", None, {"bytes": 1}))
    bench.ask(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab")
    bench.answer(SAY % 1)
    assert len(bench.caller.got) == len(SAY % 1)
    bench.ask(b"cd" + ASK % 2)
    assert bench.callee.got.endswith(b"abcd" + ASK % 2)


def test_a_body_that_ends_with_the_stream_is_treated_to_its_end():
    bench = Bench(("corrupt", None, {"bytes": 2}))
    bench.ask(ASK % 1)
    bench.answer(b"HTTP/1.1 200 OK\r\n\r\nabcdef")
    bench.relay.replies.end(Ending.EOF)
    body = bench.caller.got.partition(b"\r\n\r\n")[2]
    assert (sum(a != b for a, b in zip(body, b"abcdef", strict=True)), bench.caller.ending) == (2, Ending.EOF)


def test_a_callee_that_breaks_off_amid_a_treated_reply_is_passed_on():
    bench = Bench(("corrupt", None, {"bytes": 1}))
    bench.ask(ASK % 1)
    bench.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    bench.relay.replies.end(Ending.EOF)
    body = bench.caller.got.partition(b"\r\n\r\n")[2]
    assert (len(body), bench.caller.ending) == (3, Ending.EOF)


def test_a_slow_body_goes_at_its_rate():
    bench = Bench(("slow_body", None, {"rate": 100}))
    bench.ask(ASK % 1)
    bench.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + b"x" * 50)
    for _ in range(5):
        bench.clock.turn(0.0501)
    sent = bench.caller.got.count(b"x")
    assert 20 <= sent <= 35
    assert bench.relay.outstanding
    bench.link.remove("r0")
    assert (bench.caller.got.count(b"x"), len(bench.relay.outstanding)) == (50, 0)


def test_a_callee_that_speaks_first_is_heard():
    bench = Bench(("hang", {"tenant": "nobody"}, {}))
    bench.answer(b"220 mail\r\n")
    assert bench.caller.got == b"220 mail\r\n"


# -- parts -------------------------------------------------------------------------------------------------------------


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_globs_match_as_shells_do(pattern, text):
    head = RequestHead(f"GET /{text} HTTP/1.1\r\n\r\n".encode())
    assert Scope(route=f"/{pattern}").matches(head, None) == fnmatch.fnmatchcase(text, pattern)


@given(st.binary(max_size=50), st.integers(0, 60), st.randoms(use_true_random=False))
def test_so_many_bytes_are_corrupted(body, count, chance):
    changed = corrupt(body, count, chance)
    assert sum(a != b for a, b in zip(body, changed, strict=True)) == min(count, len(body))


@pytest.mark.parametrize(
    ("path", "body", "nulled"),
    [
        ("a", '{"a": 1, "b": 2}', '{"a":null,"b":2}'),
        ("a.b", '{"a": {"b": 1}}', '{"a":{"b":null}}'),
        ("*.b", '{"a": {"b": 1}, "c": {"b": 2}}', '{"a":{"b":null},"c":{"b":null}}'),
        ("0.b", '[{"b": 1}, {"b": 2}]', '[{"b":null},{"b":2}]'),
        ("*", "[1, 2]", "[null,null]"),
        ("a.b.c", '{"a": {"b": 1}}', None),
        ("a", '{"a": null}', None),
        ("5", "[1]", None),
        ("a", "\ufeff{}", None),
    ],
)
def test_fields_are_found_by_their_path(path, body, nulled):
    found = null_field(body.encode(), path, ReplyHead(b"HTTP/1.1 200 OK\r\n\r\n"))
    assert found == (None if nulled is None else nulled.encode())


def test_a_body_in_a_coding_that_is_not_known_stays():
    head = ReplyHead(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n")
    assert null_field(b'{"a": 1}', "a", head) is None
