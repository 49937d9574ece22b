"""Each toxic against a turned clock: what leaves when, exactly."""

import heapq
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.faultproxy.catalogue import CATALOGUE
from harness.faultproxy.chance import Chance
from harness.faultproxy.errors import ApiError
from harness.faultproxy.observed import Observed
from harness.faultproxy.stage import Ending, Surroundings
from harness.faultproxy.toxics.bandwidth import Bandwidth
from harness.faultproxy.toxics.latency import Latency
from harness.faultproxy.toxics.limit_data import LimitData
from harness.faultproxy.toxics.reset_peer import ResetPeer
from harness.faultproxy.toxics.slicer import Slicer
from harness.faultproxy.toxics.slow_close import SlowClose
from harness.faultproxy.toxics.timeout import Timeout

EOF, CUT, RESET = Ending


class TurnedClock:
    """Time stands still until it is turned."""

    class Call:
        def __init__(self, callback):
            self.callback = callback

        def cancel(self):
            self.callback = None

    def __init__(self):
        self._now_s = 0.0
        self._calls = []
        self._order = itertools.count()

    def now_s(self):
        return self._now_s

    def unix_ns(self):
        return 1_000_000_000 + round(self._now_s * 1e9)

    def call_at(self, due_s, callback):
        call = self.Call(callback)
        heapq.heappush(self._calls, (due_s, next(self._order), call))
        return call

    def turn_to(self, ms):
        while self._calls and self._calls[0][0] <= ms / 1000 + 1e-9:
            due_s, _, call = heapq.heappop(self._calls)
            self._now_s = max(self._now_s, due_s)
            if call.callback:
                call.callback()
        self._now_s = max(self._now_s, ms / 1000)

    @property
    def pending(self):
        return sum(1 for _, _, call in self._calls if call.callback)


class Bench:
    """One stage, or several in a row, between a source and a sink; `out` lists (ms, what left)."""

    def __init__(self, *attributes, seed=1):
        self.clock = TurnedClock()
        self.observed = [Observed() for _ in attributes]
        self.out = []
        self.chokes = 0
        self.source_stopped = False
        chance = Chance(seed, "proxy", "toxic", 1)
        pairs = zip(attributes, self.observed, strict=True)
        self.stages = [each.stage(Surroundings(self.clock, chance, self, observed)) for each, observed in pairs]
        for stage, following in zip(self.stages, [*self.stages[1:], self], strict=True):
            stage.next = following
        self.stage = self.stages[0]

    def feed(self, data):
        self._record(data)

    def end(self, ending):
        self._record(ending)

    def choke(self):
        self.chokes += 1

    def unchoke(self):
        self.chokes -= 1

    def stop_source(self):
        self.source_stopped = True

    def _record(self, load):
        self.out.append((round(self.clock.now_s() * 1000, 3), load))

    def at(self, ms, *loads):
        """Turn to *ms*, then let chunks and endings arrive."""
        self.clock.turn_to(ms)
        for load in loads:
            self.stage.end(load) if isinstance(load, Ending) else self.stage.feed(load)
        return self

    def until(self, ms):
        self.clock.turn_to(ms)
        return self.out

    def touched(self):
        return [(observed.connections, observed.chunks, observed.bytes) for observed in self.observed]


# -- latency ---


def test_latency_delays_each_chunk_from_its_arrival():
    bench = Bench(Latency(latency_ms=100)).at(0, b"a").at(30, b"b", b"c")
    assert bench.until(1000) == [(100, b"a"), (130, b"b"), (130, b"c")]
    assert bench.touched() == [(1, 3, 3)]
    assert bench.observed[0].first_observed_unix_ns == 1_000_000_000


def test_latencies_add_up():
    bench = Bench(Latency(latency_ms=100), Latency(latency_ms=50)).at(0, b"a").at(10, b"b")
    assert bench.until(1000) == [(150, b"a"), (160, b"b")]


def test_latency_flushes_before_the_end_and_does_not_delay_the_end_itself():
    assert Bench(Latency(latency_ms=100)).at(0, b"a").at(20, EOF).until(1000) == [(100, b"a"), (100, EOF)]
    assert Bench(Latency(latency_ms=100)).at(7, EOF).until(1000) == [(7, EOF)]


def test_jitter_keeps_the_order_and_stays_within_its_range():
    bench = Bench(Latency(latency_ms=50, jitter_ms=20))
    for ms in range(0, 5000, 100):
        bench.at(ms, b"%d" % ms)
    delays = [at - int(load) for at, load in bench.until(9000)]
    assert len(delays) == 50
    assert all(30 <= delay <= 69 for delay in delays)
    assert len(set(delays)) > 10
    burst = Bench(Latency(latency_ms=50, jitter_ms=20)).at(0, *(b"%d" % n for n in range(50)))
    assert [load for _, load in burst.until(9000)] == [b"%d" % n for n in range(50)]


def test_jitter_is_the_same_for_the_same_seed():
    def delays(seed):
        return Bench(Latency(latency_ms=50, jitter_ms=20), seed=seed).at(0, *(b"x" * n for n in range(1, 9))).until(999)

    assert delays(1) == delays(1)
    assert delays(1) != delays(2)


def test_jitter_beyond_the_latency_never_travels_back_in_time():
    bench = Bench(Latency(latency_ms=1, jitter_ms=100))
    for ms in range(0, 1000, 10):
        bench.at(ms, b"%d" % ms)
    assert all(at >= int(load) for at, load in bench.until(5000))


def test_new_latency_counts_from_the_arrival_of_what_is_held():
    bench = Bench(Latency(latency_ms=1000)).at(0, b"a").at(50, b"b", EOF)
    bench.clock.turn_to(100)
    bench.stage.reconfigure(Latency(latency_ms=70))
    assert bench.until(5000) == [(100, b"a"), (120, b"b"), (120, EOF)]
    assert bench.touched() == [(1, 2, 2)]


def test_a_full_latency_stops_the_sender_until_there_is_room():
    bench = Bench(Latency(latency_ms=10)).at(0, *([bytes(1024 * 1024)] * 20))
    assert bench.chokes == 1
    bench.clock.turn_to(10)
    assert bench.chokes == 0


# -- every holding toxic ---


@pytest.mark.parametrize(
    "attributes",
    [Latency(latency_ms=10**9), Bandwidth(rate_kb_per_s=0), Bandwidth(rate_kb_per_s=1), ResetPeer(timeout_ms=10**9),
     Slicer(average_bytes=2, delay_us=10**9), SlowClose(delay_ms=10**9)],
)  # fmt: skip
def test_release_delivers_all_at_once_in_order_and_leaves_no_timer(attributes):
    bench = Bench(attributes).at(0, b"abc" * 1000, b"def", EOF)
    bench.clock.turn_to(5)
    bench.stage.release()
    loads = [load for _, load in bench.out]
    assert b"".join(loads[:-1]) == b"abc" * 1000 + b"def"
    assert loads[-1] is EOF
    assert (bench.out[-1][0], bench.clock.pending, bench.chokes) == (5, 0, 0)


@pytest.mark.parametrize("kind", CATALOGUE)
def test_discard_leaves_no_timer_and_nothing_follows_an_end(kind):
    raw = {"latency": 50, "rate": 1, "delay": 50, "timeout": 50, "average_size": 1, "bytes": 3}
    bench = Bench(CATALOGUE[kind]().merged(raw)).at(0, b"some data", EOF, b"after the end", RESET)
    bench.stage.discard()
    assert bench.clock.pending == 0
    assert all(load != b"after the end" for _, load in bench.until(10**6))


# -- bandwidth ---


def test_bandwidth_sends_a_chunk_when_the_line_has_carried_it():
    bench = Bench(Bandwidth(rate_kb_per_s=10)).at(0, bytes(500), bytes(200)).at(200, bytes(100))
    assert [(at, len(load)) for at, load in bench.until(1000)] == [(50, 500), (70, 200), (210, 100)]


def test_bandwidth_sends_long_chunks_in_pieces_of_100_ms():
    bench = Bench(Bandwidth(rate_kb_per_s=1)).at(0, bytes(250), EOF)
    assert [(at, load if load is EOF else len(load)) for at, load in bench.until(1000)] == [
        (100, 100), (200, 100), (250, 50), (250, EOF)
    ]  # fmt: skip


def test_bandwidth_zero_holds_for_ever():
    bench = Bench(Bandwidth(rate_kb_per_s=0)).at(0, b"x", EOF)
    assert (bench.until(10**9), bench.clock.pending) == ([], 0)


def test_new_bandwidth_carries_what_is_held():
    bench = Bench(Bandwidth(rate_kb_per_s=0)).at(0, bytes(100))
    bench.clock.turn_to(500)
    bench.stage.reconfigure(Bandwidth(rate_kb_per_s=10))
    assert bench.until(9000) == [(510, bytes(100))]


# -- slow_close, timeout, reset_peer, limit_data ---


def test_slow_close_delays_only_the_end():
    bench = Bench(SlowClose(delay_ms=80)).at(0, b"a").at(10, EOF)
    assert bench.until(1000) == [(0, b"a"), (90, EOF)]
    assert bench.touched() == [(1, 0, 0)]


def test_timeout_restarts_with_each_chunk_and_drops_it():
    bench = Bench(Timeout(timeout_ms=100)).at(0, b"a").at(60, b"b").at(150, b"c")
    assert bench.until(1000) == [(250, CUT)]
    assert bench.source_stopped
    assert bench.touched() == [(1, 3, 3)]


def test_timeout_counts_from_the_start_when_nothing_comes():
    assert Bench(Timeout(timeout_ms=100)).until(1000) == [(100, CUT)]


def test_timeout_zero_never_closes_but_its_removal_does():
    bench = Bench(Timeout(timeout_ms=0)).at(0, b"a")
    assert bench.until(10**9) == []
    bench.stage.release()
    assert bench.out == [(10**9, CUT)]


def test_new_timeout_counts_from_the_update():
    bench = Bench(Timeout(timeout_ms=0)).at(0, b"a")
    bench.clock.turn_to(40)
    bench.stage.reconfigure(Timeout(timeout_ms=100))
    assert bench.until(1000) == [(140, CUT)]


def test_reset_peer_waits_from_the_first_chunk_and_drops_data():
    bench = Bench(ResetPeer(timeout_ms=100)).at(20, b"a").at(90, b"b")
    assert bench.until(1000) == [(120, RESET)]
    assert bench.touched() == [(1, 2, 2)]


def test_new_reset_peer_counts_from_the_first_chunk():
    bench = Bench(ResetPeer(timeout_ms=1000)).at(20, b"a")
    bench.clock.turn_to(50)
    bench.stage.reconfigure(ResetPeer(timeout_ms=100))
    assert bench.until(2000) == [(120, RESET)]


def test_limit_data_closes_exactly_at_the_limit():
    assert Bench(LimitData(limit_bytes=5)).at(0, b"abc", b"de").until(9) == [(0, b"abc"), (0, b"de"), (0, CUT)]
    assert Bench(LimitData(limit_bytes=5)).at(0, b"abcdefgh").until(9) == [(0, b"abcde"), (0, CUT)]
    assert Bench(LimitData(limit_bytes=5)).at(0, b"abcd", EOF).until(9) == [(0, b"abcd"), (0, EOF)]


def test_limit_data_lowered_below_its_count_closes_at_the_next_chunk():
    bench = Bench(LimitData(limit_bytes=9)).at(0, b"abcd")
    bench.stage.reconfigure(LimitData(limit_bytes=2))
    assert bench.at(0, b"e").until(9) == [(0, b"abcd"), (0, CUT)]


# -- slicer ---


def test_slicer_halves_until_small_enough_and_pauses_after_each():
    bench = Bench(Slicer(average_bytes=2, delay_us=3000)).at(0, b"abcdefgh").at(1, b"i", EOF)
    assert bench.until(1000) == [(0, b"ab"), (3, b"cd"), (6, b"ef"), (9, b"gh"), (12, b"i"), (15, EOF)]


def test_a_chunk_too_small_to_cut_is_not_observed():
    assert Bench(Slicer(average_bytes=20)).at(0, b"abcdefgh").touched() == [(0, 0, 0)]


@given(
    size=st.integers(1, 5000), average=st.integers(1, 200), variation=st.integers(0, 200), seed=st.integers(0, 9)
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_slices_reassemble_and_none_is_too_long(size, average, variation, seed):
    variation = min(variation, average)
    data = bytes(number % 251 for number in range(size))
    bench = Bench(Slicer(average_bytes=average, variation_bytes=variation), seed=seed).at(0, data)
    slices = [load for _, load in bench.until(10)]
    assert b"".join(slices) == data
    assert all(0 < len(piece) <= average + variation for piece in slices)


LOSSLESS = st.one_of(
    st.builds(Latency, latency_ms=st.integers(0, 50), jitter_ms=st.integers(0, 60)),
    st.builds(Bandwidth, rate_kb_per_s=st.integers(0, 50)),
    st.builds(Slicer, average_bytes=st.integers(1, 50), delay_us=st.integers(0, 3000)),
    st.builds(SlowClose, delay_ms=st.integers(0, 50)),
    st.builds(LimitData, limit_bytes=st.just(10**9)),
)


@given(
    toxics=st.lists(LOSSLESS, min_size=1, max_size=4),
    chunks=st.lists(st.tuples(st.integers(0, 30), st.binary(min_size=1, max_size=300)), max_size=20),
    released_after=st.integers(0, 20),
)
@settings(deadline=None, max_examples=100)
def test_no_row_of_lossless_toxics_loses_or_reorders_a_byte(toxics, chunks, released_after):
    bench, now_ms = Bench(*toxics), 0
    for place, (pause_ms, data) in enumerate(chunks):
        now_ms += pause_ms
        bench.at(now_ms, data)
        if place == released_after:
            bench.stages[0].release()
    bench.at(now_ms, EOF)
    for stage in bench.stages:
        stage.release()
    loads = [load for _, load in bench.out]
    assert b"".join(loads[:-1]) == b"".join(data for _, data in chunks)
    assert (loads[-1], bench.chokes, bench.clock.pending) == (EOF, 0, 0)


# -- attributes and chance ---


@pytest.mark.parametrize(
    "raw", [{"latency": -1}, {"latency": 1.0}, {"jitter": "1"}, {"latency": True}, {"latency": 1e3}]
)
def test_attributes_out_of_range_or_type_are_refused(raw):
    with pytest.raises(ApiError, match=r"attribute (latency|jitter) must") as refused:
        Latency().merged(raw)
    assert refused.value.status == 400


def test_attributes_keep_what_is_not_named():
    assert Latency(latency_ms=5, jitter_ms=2).merged({"JITTER": 3, "latency": None, "x": 1}) == Latency(5, 3)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 100))
def test_raising_toxicity_only_adds_connections(one, other, number):
    chance = Chance(1, "proxy", "toxic", number)
    assert chance.hits(max(one, other)) or not chance.hits(min(one, other))
    assert chance.hits(1.0)
    assert not chance.hits(0.0)


def test_toxicity_hits_about_its_share():
    hits = sum(Chance(1, "proxy", "toxic", number).hits(0.3) for number in range(2000))
    assert 500 < hits < 700
