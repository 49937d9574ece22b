"""A relay between plain receivers and under a fake clock: what goes in comes out, but for what rules do."""

import heapq
import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.faultproxy.http.link import SeenLink
from harness.faultproxy.http.link_request import LinkRequest, Protocol
from harness.faultproxy.http.relay import Relay
from harness.faultproxy.http.wire import parse_rule
from harness.faultproxy.stage import Ending
from tests.faultproxy.http.messages import conversations, h11_reply, joined, scan_requests
from tests.faultproxy.http.test_framing import DOUBTFUL_LINES

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(path):
    return GET.replace(b"%b", path)


def post(path):
    return POST.replace(b"%b", path)


def ok(body):
    return OK % (len(body), body)


class FakeClock:
    """Time goes on only when told."""

    def __init__(self):
        self._now_s = 100.0
        self._calls = []
        self._number = itertools.count()

    def now_s(self):
        return self._now_s

    def unix_ns(self):
        return int(self._now_s * 1e9)

    def call_at(self, due_s, callback):
        call = [due_s, next(self._number), callback]
        heapq.heappush(self._calls, call)

        class Pending:
            def cancel(self):
                call[2] = None

        return Pending()

    def turn(self, seconds):
        until_s = self._now_s + seconds
        while self._calls and self._calls[0][0] <= until_s:
            due_s, _, callback = heapq.heappop(self._calls)
            self._now_s = max(self._now_s, due_s)
            if callback is not None:
                callback()
        self._now_s = until_s


class Side:
    """Takes what comes out at one side."""

    def __init__(self):
        self.data, self.ending = b"", None

    def feed(self, data):
        self.data += data if self.ending is None else b""

    def end(self, ending):
        self.ending = self.ending or ending


class FakeFlow:
    def __init__(self):
        self.chokes, self.is_stopped = 0, False

    def choke(self):
        self.chokes += 1

    def unchoke(self):
        self.chokes -= 1
        assert self.chokes >= 0

    def stop_source(self):
        self.is_stopped = True


class Bench:
    """A relay with all its surroundings; `callee` holds what reached the callee, `caller` what came back."""

    def __init__(self):
        self.clock = FakeClock()
        self.link = SeenLink("link", seed=1, clock=self.clock)
        self.link.describe(LinkRequest(Protocol.HTTP))
        self.caller, self.callee = Side(), Side()
        self.up, self.down = FakeFlow(), FakeFlow()
        self.is_behind = False
        self.aborts = 0
        self.relay = Relay(
            self.link,
            self.clock,
            up=self.up,
            down=self.down,
            is_caller_behind=lambda: self.is_behind,
            abort=self._abort,
        )
        self.relay.requests.next, self.relay.replies.next = self.callee, self.caller
        self.link.relays.add(self.relay)

    def _abort(self):
        self.aborts += 1
        self.link.part(self.relay)

    def rule(self, kind, *, name="rule", scope=None, **action):
        raw = {"name": name, "proxy": "link", "scope": scope or {}, "action": {"type": kind, **action}}
        self.link.add(parse_rule(raw))

    def ask(self, *pieces):
        for piece in pieces:
            self.relay.requests.feed(piece)

    def reply(self, *pieces):
        for piece in pieces:
            self.relay.replies.feed(piece)

    def hang_up(self, ending=Ending.EOF):
        self.relay.requests.end(ending)

    def observed(self, name="rule"):
        return self.link.observed[name].requests


@pytest.fixture
def bench():
    return Bench()


# -- nothing claims ----------------------------------------------------------------------------------------------------


def pieces_of(data, cuts):
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in itertools.pairwise([0, *places, len(data)])]


CUTS = st.lists(st.integers(0, 4000), max_size=12)


@settings(max_examples=150, deadline=None)
@given(conversations(), CUTS, CUTS, st.booleans(), st.booleans())
def test_what_no_rule_claims_passes_as_it_came(conversation, cuts, reply_cuts, has_rule, interleaves):
    bench = Bench()
    if has_rule:
        bench.rule("hang", scope={"route": "/none/*"})
    asked, answered = conversation
    if interleaves:
        for request, reply in zip(asked, answered, strict=True):
            bench.ask(*pieces_of(request.raw, cuts))
            bench.reply(*pieces_of(reply.raw, reply_cuts))
    else:
        bench.ask(*pieces_of(joined(asked), cuts))
        bench.reply(*pieces_of(joined(answered), reply_cuts))
    assert (bench.callee.data, bench.caller.data) == (joined(asked), joined(answered))
    bench.hang_up()
    bench.relay.replies.end(Ending.EOF)
    assert (bench.callee.ending, bench.caller.ending) == (Ending.EOF, Ending.EOF)
    assert bench.relay.requests.is_opaque is bench.relay.replies.is_opaque is False


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=5), st.lists(st.binary(max_size=20), max_size=5), st.booleans())
def test_what_is_no_http_passes_as_it_came(asked, answered, asks_first):
    bench = Bench()
    bench.rule("hang", scope={"route": "/none"})
    if asks_first:
        bench.ask(get(b"a"))
        asked = [get(b"a"), *asked]
        bench.ask(*asked[1:])
        bench.reply(*answered)
    else:
        bench.reply(*answered)
        bench.ask(*asked)
    bench.hang_up()
    bench.relay.replies.end(Ending.EOF)
    assert (bench.callee.data, bench.caller.data) == (b"".join(asked), b"".join(answered))
    assert (bench.callee.ending, bench.caller.ending) == (Ending.EOF, Ending.EOF)


HARMLESS = {
    "delay": {"latency_s": 1, "jitter_s": 1, "distribution": "normal"},
    "slow_body": {"rate": 40},
    "duplicate": {},
    "null_field": {"path": "none"},
    "truncate": {"bytes": 1000},
    "corrupt": {"bytes": 0},
}
RULES = st.dictionaries(st.sampled_from([*HARMLESS]), st.floats(0.2, 1), max_size=4)


@settings(max_examples=150, deadline=None)
@given(conversations(), RULES, CUTS, CUTS, st.lists(st.sampled_from([0, 0.05, 0.5, 3]), min_size=1, max_size=5))
def test_rules_that_change_nothing_keep_every_request_and_reply_in_order(conversation, rules, cuts, reply_cuts, waits):
    asked, answered = conversation
    asked = [replace(each, raw=each.raw.replace(b"Host: a", b"Host: a%d" % place)) for place, each in enumerate(asked)]
    bench = Bench()
    for kind, share in rules.items():
        bench.rule(kind, name=kind, scope={"share": share}, **HARMLESS[kind])
    served = []  # which request, for each that arrived

    def let_callee_answer():
        while (ends := scan_requests([bench.callee.data]).ends)[len(served) :]:
            start, end = [0, *ends][len(served)], ends[len(served)]
            served.append([each.raw for each in asked].index(bench.callee.data[start:end]))
            reply = answered[served[-1]]
            bench.reply(*pieces_of(reply.raw, reply_cuts))
            if reply.is_endless:
                bench.relay.replies.end(Ending.EOF)

    pauses = itertools.cycle(waits)
    for piece in pieces_of(joined(asked), cuts):
        bench.ask(piece)
        let_callee_answer()
        bench.clock.turn(next(pauses))
    for _ in range(3 * len(asked)):
        let_callee_answer()
        bench.clock.turn(100)

    assert [place for place, _ in itertools.groupby(served)] == list(range(len(asked)))
    assert len(served) - len(asked) == (bench.observed("duplicate") if "duplicate" in rules else 0)
    data = bench.caller.data
    for reply in answered:
        size, payload = h11_reply(data, reply.method, is_endless=reply.is_endless)
        assert payload == reply.payload
        data = data[size:]
    assert data == b""
    assert (bench.up.chokes, bench.down.chokes) == (0, 0)


# -- bytes that cannot be framed ---------------------------------------------------------------------------------------


def assert_opaque(bench):
    """Both ways, and nothing is kept back."""
    asked, answered = bench.callee.data, bench.caller.data
    bench.ask(get(b"late"))
    bench.reply(b"anything")
    assert (bench.callee.data, bench.caller.data) == (asked + get(b"late"), answered + b"anything")
    assert bench.relay.requests.is_clear
    assert bench.relay.replies.is_clear


def test_a_switch_of_protocols_is_passed_on_from_then_on(bench):
    bench.rule("answer", status=503, scope={"route": "/late"})
    bench.ask(b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    bench.reply(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hello")
    assert bench.caller.data.endswith(b"\x81\x05hello")
    assert_opaque(bench)


def test_a_tunnel_is_passed_on_from_then_on(bench):
    bench.rule("answer", status=503, scope={"route": "/late"})
    bench.ask(b"CONNECT a:443 HTTP/1.1\r\n\r\n")
    bench.reply(b"HTTP/1.1 200 OK\r\n\r\n")
    assert_opaque(bench)


def test_a_refused_tunnel_is_an_ordinary_reply(bench):
    bench.rule("answer", status=503, scope={"route": "/late"})
    bench.ask(b"CONNECT a:443 HTTP/1.1\r\n\r\n")
    bench.reply(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
    bench.ask(get(b"late"))
    assert b" 503 " in bench.caller.data


def test_a_callee_that_speaks_first_is_passed_on(bench):
    bench.rule("answer", status=503, scope={"route": "/late"})
    bench.reply(b"220 hello\r\n")
    assert bench.caller.data == b"220 hello\r\n"
    assert_opaque(bench)


def test_what_is_begun_goes_on_when_the_callee_speaks_out_of_turn(bench):
    bench.ask(b"GET / HT")
    bench.reply(b"HTTP/1.1 408 Too late\r\n\r\n")
    assert (bench.callee.data, bench.caller.data) == (b"GET / HT", b"HTTP/1.1 408 Too late\r\n\r\n")


def test_a_malformed_request_is_passed_on_and_replies_before_it_are_treated(bench):
    bench.rule("truncate", bytes=1, scope={"route": "/a"})
    bench.ask(get(b"a"), b"\x00garbage")
    assert bench.callee.data == get(b"a") + b"\x00garbage"
    bench.reply(ok(b"abc"))
    assert bench.caller.data == ok(b"abc")[:-2]
    assert (bench.caller.ending, bench.observed()) == (Ending.CUT, 1)


def test_requests_wait_for_no_reply_that_cannot_be_told_apart(bench):
    bench.rule("truncate", bytes=1, scope={"route": "/a"})
    bench.ask(get(b"a"), get(b"b"))
    assert bench.callee.data == get(b"a")
    bench.reply(b"what is this")
    bench.clock.turn(1)
    assert (bench.callee.data, bench.caller.data) == (get(b"a") + get(b"b"), b"what is this")
    assert bench.observed() == 0


def test_nothing_overtakes_a_held_request_when_the_callee_speaks_out_of_turn(bench):
    bench.rule("delay", latency_s=3)
    bench.ask(get(b"a"))
    bench.reply(b"out of turn")
    bench.ask(b"more")
    assert (bench.callee.data, bench.caller.data) == (b"", b"out of turn")
    bench.clock.turn(3)
    assert bench.callee.data == get(b"a") + b"more"
    assert_opaque(bench)


@pytest.mark.parametrize("lines", [*DOUBTFUL_LINES.values(), b"X: " + b"y" * 70_000 + b"\r\n"])
def test_heads_in_doubt_pass_as_they_came_and_everything_after_them(bench, lines):
    bench.rule("truncate", bytes=1, scope={"route": "/a"})
    asked, answered = b"GET /a HTTP/1.1\r\n" + lines + b"\r\nmore", b"HTTP/1.1 200 OK\r\n" + lines + b"\r\nmore"
    bench.ask(asked[:20], asked[20:])
    bench.reply(answered[:20], answered[20:])
    assert (bench.callee.data, bench.caller.data) == (asked, answered)
    assert_opaque(bench)
    other = Bench()
    other.rule("truncate", bytes=1, scope={"route": "/a"})
    other.ask(get(b"a"), get(b"b"))
    other.reply(answered)
    other.clock.turn(1)
    assert (other.callee.data, other.caller.data) == (get(b"a") + get(b"b"), answered)
    assert_opaque(other)


def test_a_treated_reply_with_broken_chunks_ends_there(bench):
    bench.rule("slow_body", rate=1000)
    bench.ask(get(b"a"))
    bench.reply(CHUNKED + b"5\r\nhello\r\n", b"2\r\nxy\r\nZZ\r\n", b"more")
    bench.clock.turn(10)
    assert bench.caller.data == CHUNKED + b"5\r\nhello\r\n2\r\nxy\r\n"
    assert (bench.caller.ending, bench.down.is_stopped) == (Ending.CUT, True)


# -- held requests -----------------------------------------------------------------------------------------------------


def test_a_delayed_request_goes_on_whole_and_in_its_place(bench):
    bench.rule("delay", latency_s=2, scope={"route": "/slow"})
    bench.ask(get(b"a") + post(b"slow")[:-2], b"dy" + get(b"b"))
    assert bench.callee.data == get(b"a")
    bench.clock.turn(1.9)
    assert bench.callee.data == get(b"a")
    bench.clock.turn(0.2)
    assert bench.callee.data == get(b"a") + post(b"slow") + get(b"b")
    bench.reply(ok(b"1") + ok(b"2") + ok(b"3"))
    assert (bench.caller.data, bench.observed()) == (ok(b"1") + ok(b"2") + ok(b"3"), 1)


def test_delays_add_up_and_those_of_removed_rules_count_no_more(bench):
    bench.rule("delay", name="one", latency_s=2)
    bench.rule("delay", name="two", latency_s=3)
    bench.ask(get(b"a"))
    bench.clock.turn(4.9)
    assert bench.callee.data == b""
    bench.clock.turn(0.1)
    assert bench.callee.data == get(b"a")
    bench.ask(get(b"b"))
    bench.clock.turn(2.5)
    bench.link.remove("two")
    assert bench.callee.data == get(b"a") + get(b"b")


def test_a_delay_grows_over_its_ramp(bench):
    bench.rule("delay", latency_s=4, ramp_s=100)
    bench.ask(get(b"a"))
    assert (bench.callee.data, bench.observed()) == (get(b"a"), 0)
    bench.clock.turn(50)
    bench.ask(get(b"b"))
    bench.clock.turn(1.9)
    assert bench.callee.data == get(b"a")
    bench.clock.turn(0.2)
    assert (bench.callee.data, bench.observed()) == (get(b"a") + get(b"b"), 1)


def test_a_delayed_request_with_a_half_closed_caller_still_goes_on(bench):
    bench.rule("delay", latency_s=2)
    bench.ask(get(b"a"))
    bench.hang_up()
    assert (bench.callee.data, bench.callee.ending) == (b"", None)
    bench.clock.turn(2)
    assert (bench.callee.data, bench.callee.ending) == (get(b"a"), Ending.EOF)


@pytest.mark.parametrize("ending", [Ending.EOF, Ending.CUT, Ending.RESET])
def test_a_hanging_request_goes_with_its_caller(bench, ending):
    bench.rule("hang", scope={"route": "/hang"})
    bench.ask(get(b"a"), post(b"hang"), get(b"b"))
    bench.hang_up(ending)
    bench.link.remove("rule")
    bench.clock.turn(100)
    assert bench.callee.data == get(b"a")
    assert bench.callee.ending is (Ending.CUT if ending is Ending.EOF else ending)


@pytest.mark.parametrize("ending", [Ending.CUT, Ending.RESET])
def test_a_delayed_request_goes_with_a_reset_of_its_caller(bench, ending):
    bench.rule("delay", latency_s=2)
    bench.ask(post(b"a"))
    bench.hang_up(ending)
    bench.clock.turn(10)
    assert (bench.callee.data, bench.callee.ending) == (b"", ending)


def test_a_hanging_request_goes_on_when_the_rule_goes(bench):
    bench.rule("hang", scope={"next": 1})
    bench.ask(post(b"a"), get(b"b"))
    bench.clock.turn(1000)
    assert (bench.callee.data, bench.observed()) == (b"", 1)
    bench.link.remove("rule")
    assert bench.callee.data == post(b"a") + get(b"b")


def test_what_piles_up_behind_a_held_request_stops_the_source_and_frees_it_later(bench):
    bench.rule("hang", scope={"next": 1})
    bench.ask(get(b"a"), b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", b"x" * 99_999)
    assert bench.up.chokes == 1
    bench.link.remove("rule")
    bench.ask(b"x")
    assert bench.up.chokes == 0
    assert bench.callee.data.endswith(b"x" * 100_000)


# -- verdicts ----------------------------------------------------------------------------------------------------------


def test_an_answer_waits_for_the_replies_before_it(bench):
    bench.rule("answer", status=503, body="no", headers={"Retry-After": "3"}, scope={"route": "/no"})
    bench.ask(get(b"a") + post(b"no") + get(b"b"))
    assert (bench.callee.data, bench.caller.data) == (get(b"a"), b"")
    bench.reply(ok(b"1")[:-1])
    assert bench.observed() == 0
    bench.reply(b"1")
    answer = (
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nno"
    )
    assert (bench.callee.data, bench.caller.data) == (get(b"a") + get(b"b"), ok(b"1") + answer)
    assert bench.observed() == 1


def test_an_answer_waits_until_the_caller_has_read_what_went_before(bench):
    bench.rule("answer", status=503)
    bench.is_behind = True
    bench.ask(get(b"a"))
    bench.clock.turn(10)
    assert bench.caller.data == b""
    bench.is_behind = False
    bench.clock.turn(1)
    assert bench.caller.data.startswith(b"HTTP/1.1 503")


def test_an_answered_body_is_dropped_chunk_by_chunk(bench):
    bench.rule("answer", status=201, scope={"next": 1})
    body = b"3;x=y\r\nabc\r\n0\r\nTrailer: a\r\n\r\n"
    bench.ask(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", body[:9])
    assert bench.caller.data == b""
    bench.ask(body[9:] + get(b"b"))
    assert bench.caller.data.startswith(b"HTTP/1.1 201")
    assert bench.callee.data == get(b"b")


def test_an_answer_to_a_body_that_breaks_closes(bench):
    bench.rule("answer", status=201)
    bench.ask(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\nZZ\r\n")
    assert b"Connection: close" in bench.caller.data
    assert (bench.callee.data, bench.caller.ending) == (b"", Ending.CUT)


@pytest.mark.parametrize("line", [b"Expect: 100-continue\r\nContent-Length: 4\r\n", b"Connection: close\r\n"])
def test_an_answer_closes_where_the_caller_will_or_must_not_go_on(bench, line):
    bench.rule("answer", status=503)
    bench.ask(b"POST / HTTP/1.1\r\n" + line + b"\r\n")
    assert b"Connection: close\r\n" in bench.caller.data
    assert (bench.callee.data, bench.caller.ending) == (b"", Ending.CUT)


def test_an_answer_to_head_has_no_body(bench):
    bench.rule("answer", status=503, body="abc")
    bench.ask(b"HEAD / HTTP/1.1\r\n\r\n")
    assert b"Content-Length: 3\r\n" in bench.caller.data
    assert bench.caller.data.endswith(b"\r\n\r\n")


def test_a_reset_request_waits_for_the_replies_before_it(bench):
    bench.rule("reset_request", scope={"route": "/no"})
    bench.ask(get(b"a") + post(b"no") + get(b"b"))
    assert bench.aborts == 0
    bench.reply(ok(b"1"))
    assert (bench.callee.data, bench.caller.data, bench.aborts, bench.observed()) == (get(b"a"), ok(b"1"), 1, 1)


# -- replies -----------------------------------------------------------------------------------------------------------


def test_a_lost_reply_is_swallowed_and_the_connection_reset(bench):
    bench.rule("lose_reply")
    bench.ask(post(b"a"))
    assert bench.callee.data == post(b"a")
    bench.reply(CHUNKED + b"3\r\nabc\r\n")
    assert bench.aborts == 0
    bench.reply(b"0\r\n\r\n")
    assert (bench.caller.data, bench.aborts, bench.observed()) == (b"", 1, 1)


def test_an_endless_reply_is_lost_too(bench):
    bench.rule("lose_reply")
    bench.ask(post(b"a"))
    bench.reply(b"HTTP/1.0 200 OK\r\n\r\nabc")
    bench.relay.replies.end(Ending.EOF)
    assert (bench.caller.data, bench.aborts, bench.observed()) == (b"", 1, 1)


def test_a_reply_is_not_lost_when_the_rule_went_before_it_came(bench):
    bench.rule("lose_reply")
    bench.ask(post(b"a"))
    bench.link.remove("rule")
    bench.reply(ok(b"1"))
    assert (bench.caller.data, bench.aborts, bench.observed()) == (ok(b"1"), 0, 0)


@pytest.mark.parametrize("cut", [1, 20, len(CHUNKED), len(CHUNKED) + 2])
def test_a_chunked_reply_is_cut_after_so_many_bytes_of_payload(bench, cut):
    bench.rule("truncate", bytes=4)
    bench.ask(get(b"a"))
    reply = CHUNKED + b"3;x=y\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    bench.reply(reply[:cut], reply[cut:])
    assert bench.caller.data == CHUNKED + b"6\r\nabcd"
    assert (bench.caller.ending, bench.observed()) == (Ending.CUT, 1)


def test_a_body_that_fits_is_not_cut(bench):
    bench.rule("truncate", bytes=3)
    bench.ask(get(b"a") + get(b"b") + get(b"c"))
    bench.reply(ok(b"abc"))
    bench.reply(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n")
    bench.reply(ok(b""))
    assert bench.caller.data == ok(b"abc") + CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + ok(b"")
    assert (bench.caller.ending, bench.observed()) == (None, 0)


def test_a_body_is_not_cut_any_more_when_the_rule_is_gone(bench):
    bench.rule("truncate", bytes=3)
    bench.ask(get(b"a"))
    bench.reply(ok(b"abcdef")[:-4])
    bench.link.remove("rule")
    bench.reply(b"cdef")
    assert (bench.caller.data, bench.caller.ending, bench.observed()) == (ok(b"abcdef"), None, 0)


def test_a_slow_body_drips_and_the_rest_goes_at_once_when_the_rule_goes(bench):
    bench.rule("slow_body", rate=1)
    bench.ask(get(b"a"), get(b"b"))
    bench.reply(ok(b"abcdef"))
    assert bench.caller.data == ok(b"abcdef")[:-5]
    bench.clock.turn(2)
    assert (bench.caller.data, bench.callee.data) == (ok(b"abcdef")[:-3], get(b"a"))
    bench.link.remove("rule")
    assert (bench.caller.data, bench.callee.data) == (ok(b"abcdef"), get(b"a") + get(b"b"))
    assert bench.observed() == 1


def test_a_slow_endless_body_ends_after_its_last_byte(bench):
    bench.rule("slow_body", rate=10)
    bench.ask(get(b"a"))
    bench.reply(b"HTTP/1.0 200 OK\r\n\r\nabcdef")
    bench.relay.replies.end(Ending.EOF)
    assert bench.caller.ending is None
    bench.clock.turn(10)
    assert (bench.caller.data, bench.caller.ending) == (b"HTTP/1.0 200 OK\r\n\r\nabcdef", Ending.EOF)


def test_a_slow_body_slows_its_callee(bench):
    bench.rule("slow_body", rate=10)
    bench.ask(get(b"a"))
    body = b"x" * 200_000
    bench.reply(ok(body)[:100_000])
    assert bench.down.chokes == 1
    bench.link.remove("rule")
    assert bench.down.chokes == 0
    bench.reply(ok(body)[100_000:])
    assert bench.caller.data == ok(body)


def test_what_comes_after_a_slow_reply_waits_for_it(bench):
    bench.rule("slow_body", rate=1)
    bench.ask(get(b"a"))
    bench.reply(ok(b"abc") + b"out of turn" + b"x" * 70_000)
    assert bench.down.chokes == 1
    bench.clock.turn(10)
    assert bench.caller.data == ok(b"abc") + b"out of turn" + b"x" * 70_000
    assert bench.down.chokes == 0


def test_a_corrupt_body_keeps_its_framing_and_its_length(bench):
    bench.rule("corrupt", bytes=2)
    bench.ask(get(b"a"))
    bench.reply(CHUNKED + b"3\r\nabc\r\n", b"3\r\ndef\r\n0\r\n\r\n")
    head, body = bench.caller.data[: len(CHUNKED)], bench.caller.data[len(CHUNKED) :]
    assert (head, body[:3], body[-7:]) == (CHUNKED, b"6\r\n", b"\r\n0\r\n\r\n")
    assert sum(a != b for a, b in zip(body[3:9], b"abcdef", strict=True)) == 2


@pytest.mark.parametrize("kind", [{"kind": "corrupt", "bytes": 2}, {"kind": "null_field", "path": "a"}])
def test_a_reply_that_is_gathered_goes_on_when_the_rule_goes(bench, kind):
    bench.rule(**kind)
    bench.ask(get(b"a"))
    bench.reply(ok(b'{"a": 1}')[:-4])
    assert bench.caller.data == b""
    bench.link.remove("rule")
    assert bench.caller.data == ok(b'{"a": 1}')[:-4]
    bench.reply(b": 1}")
    assert (bench.caller.data, bench.observed()) == (ok(b'{"a": 1}'), 0)


def test_a_gathered_reply_that_breaks_off_is_passed_on_as_far_as_it_came(bench):
    bench.rule("null_field", path="a")
    bench.ask(get(b"a"))
    bench.reply(ok(b'{"a": 1}')[:-4])
    bench.relay.replies.end(Ending.EOF)
    assert (bench.caller.data, bench.caller.ending) == (ok(b'{"a": 1}')[:-4], Ending.EOF)
    assert bench.observed() == 0


def test_a_nulled_field_gets_a_new_length_in_place_of_chunks(bench):
    bench.rule("null_field", path="items.*.price")
    bench.ask(get(b"a"))
    bench.reply(CHUNKED + b'1a\r\n{"items": [{"price": 17}]}\r\n0\r\n\r\n')
    body = b'{"items":[{"price":null}]}'
    assert (bench.caller.data, bench.observed()) == (ok(body), 1)


def test_interim_replies_pass_before_a_treated_one(bench):
    bench.rule("truncate", bytes=1)
    bench.ask(post(b"a"))
    bench.reply(b"HTTP/1.1 103 Early\r\n\r\n" + ok(b"abc"))
    assert bench.caller.data == b"HTTP/1.1 103 Early\r\n\r\n" + ok(b"abc")[:-2]


# -- twice -------------------------------------------------------------------------------------------------------------


def test_a_duplicate_is_sent_after_the_first_reply_and_its_own_is_swallowed(bench):
    bench.rule("duplicate", scope={"route": "/a"})
    bench.ask(post(b"a")[:-2], b"dy" + get(b"b"))
    assert (bench.callee.data, bench.observed()) == (post(b"a"), 0)
    bench.reply(ok(b"one"))
    assert (bench.callee.data, bench.caller.data, bench.observed()) == (post(b"a") * 2, ok(b"one"), 1)
    bench.reply(b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED, b"3\r\ntwo\r\n0\r\n\r\n")
    assert (bench.callee.data, bench.caller.data) == (post(b"a") * 2 + get(b"b"), ok(b"one"))
    bench.reply(ok(b"three"))
    assert bench.caller.data == ok(b"one") + ok(b"three")


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nabc"]
)
def test_nothing_is_sent_twice_to_a_callee_that_closes(bench, reply):
    bench.rule("duplicate")
    bench.ask(get(b"a"))
    bench.reply(reply)
    bench.relay.replies.end(Ending.EOF)
    assert (bench.callee.data, bench.caller.data, bench.observed()) == (get(b"a"), reply, 0)


def test_nothing_is_sent_twice_when_the_rule_went_before_the_reply(bench):
    bench.rule("duplicate")
    bench.ask(get(b"a"))
    bench.link.remove("rule")
    bench.reply(ok(b"one"))
    assert (bench.callee.data, bench.observed()) == (get(b"a"), 0)


def test_nothing_is_sent_twice_after_the_caller_said_it_is_done(bench):
    bench.rule("duplicate")
    bench.ask(get(b"a"))
    bench.hang_up()
    bench.reply(ok(b"one"))
    assert (bench.callee.data, bench.caller.data, bench.observed()) == (get(b"a"), ok(b"one"), 0)


def test_a_large_body_stays_single(bench):
    bench.rule("duplicate")
    head = b"POST / HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n"
    bench.ask(head, b"x" * 1_000_000, b"x" * 1_000_000)
    bench.reply(ok(b"one"))
    assert (len(bench.callee.data), bench.observed()) == (len(head) + 2_000_000, 0)


def test_a_reply_that_comes_before_the_body_is_through_is_not_duplicated(bench):
    bench.rule("duplicate")
    bench.ask(post(b"a")[:-2])
    bench.reply(ok(b"early"))
    bench.ask(b"dy")
    assert (bench.callee.data, bench.observed()) == (post(b"a"), 0)


@pytest.mark.parametrize("second", [b"HTTP/1.1 20", CHUNKED + b"3\r\nab"])
def test_a_second_reply_that_breaks_off_leaves_no_trace(bench, second):
    bench.rule("duplicate")
    bench.ask(get(b"a"))
    bench.reply(ok(b"one"), second)
    bench.relay.replies.end(Ending.EOF)
    assert (bench.caller.data, bench.caller.ending) == (ok(b"one"), Ending.EOF)


@pytest.mark.parametrize("second", [b"garbage\r\n\r\n", CHUNKED + b"ZZ\r\n"])
def test_a_second_reply_that_is_malformed_closes_the_connection(bench, second):
    bench.rule("duplicate")
    bench.ask(get(b"a"))
    bench.reply(ok(b"one"), second)
    assert (bench.caller.data, bench.caller.ending) == (ok(b"one"), Ending.CUT)


# -- without rules -----------------------------------------------------------------------------------------------------


def test_without_rules_a_head_passes_in_parts_and_the_next_request_may_be_claimed():
    bench = Bench()
    bench.ask(get(b"0")[:10])
    assert bench.callee.data == get(b"0")[:10]
    bench.rule("hang", name="late")
    bench.ask(get(b"0")[10:] + get(b"1"))
    assert (bench.callee.data, len(bench.relay.outstanding)) == (get(b"0"), 1)
    bench.link.remove("late")
    assert bench.callee.data == get(b"0") + get(b"1")


@given(conversations(), st.lists(st.integers(1, 50), min_size=1))
def test_without_rules_every_byte_passes_at_once(conversation, sizes):
    bench = Bench()
    requests, _ = conversation
    asked = joined(requests)
    at = 0
    for size in itertools.cycle(sizes):
        bench.relay.requests.feed(asked[at : at + size])
        at += size
        assert bench.callee.data == asked[:at]
        if at >= len(asked):
            break
    assert len(bench.relay.outstanding) == len(requests)
