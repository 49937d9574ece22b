"""Was the load delivered as asked, and did the generator keep up? Else the run says nothing about the target."""

from collections.abc import Iterator
from math import inf, log

import numpy as np

from harness.checks.bounds import ranked
from harness.evidence.facts import Facts
from harness.evidence.health import VoidTime
from harness.evidence.requests import Pair, Requests
from harness.model.files.scenario import Phase, Severity
from harness.model.result.finding import Cause, Finding, How, Status, Window
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.model.run.events import Kind
from harness.recording.columns import Outcome
from harness.statistics.binomial import poisson_tail

FOUR_SIGMA = 3.2e-5  # one tail of the normal distribution
MOST_DROPPED = 0.01
CHANCE_OF_A_GAP = 1e-4
LAG_LIMIT_MS = 20.0
LAG_SPOILS_MS = 250.0
BUSY_LIMIT = 0.7
MOSTLY_SOUND = 0.8
"""While so many arrivals are outside void time, the lag of the others is that time's affair."""
_NEXT_STEP = "Lower the rates, give it more cores, or look into logs-raw/load.log."


def load_delivered(facts: Facts) -> Iterator[Finding]:
    """Judge each pair's arrivals, phase by phase, against what the plan asked for; and how the generator ended."""
    windows = [facts.phase(phase) for phase in Phase]
    yield _generator_ended(facts)
    for pair in facts.loaded:
        yield _delivered(facts, pair, windows)


def _generator_ended(facts: Facts) -> Finding:
    ended = facts.recording.events_of(Kind.LOAD_ENDED)
    code = int(ended[-1].number("code")) if ended else None
    if code == 0:
        return Finding("", "load generator", Status.PASS, "ended by itself, code 0", "code 0", 1, None)
    value = "never ended by itself" if code is None else f"ended with code {code}"
    reason = "The load generator died: its last words are in logs-raw/load.log."
    return _not_delivered("load generator", value, "code 0", 0, reason)


def _delivered(facts: Facts, pair: Pair, windows: list[Window]) -> Finding:
    arrivals = facts.raw_requests.of(pair)
    arrivals = arrivals.only(arrivals.first)
    expected = [_expected(facts, pair, window) for window in windows]
    sent = [len(arrivals.within(window).sent) for window in windows]
    dropped = int(arrivals.ended(Outcome.DROPPED).sum())
    off = [w.name for w, n, mean in zip(windows, sent, expected, strict=True) if poisson_tail(n, mean) < FOUR_SIGMA]
    subject, value = f"{pair.tenant} {pair.flow}", f"{sum(sent):,} of {sum(expected):,.0f} expected"
    bound = f"within 4 sigma, <= {MOST_DROPPED:.0%} dropped"
    if off:
        reason = f"Not as many arrivals as asked for in {', '.join(off)}. {_NEXT_STEP}"
        return _not_delivered(subject, value, bound, sum(sent), reason, pair)
    if gap := _longest_gap(facts, pair, arrivals.sent, _whole(windows)):
        seconds, after_s = (gap.end_ns - gap.start_ns) / NS_PER_S, facts.offset_s(gap.start_ns)
        reason = f"No arrival for {seconds:.1f} s from {after_s:.1f} s on. {_NEXT_STEP}"
        return _not_delivered(subject, value, bound, sum(sent), reason, pair)
    if dropped > MOST_DROPPED * len(arrivals):
        reason = f"{dropped} arrivals could not be sent in time. {_NEXT_STEP}"
        return _not_delivered(subject, f"{value}, {dropped} dropped", bound, sum(sent), reason, pair)
    return Finding(
        "", subject, Status.PASS, value, bound, sum(sent), _whole(windows), tenant=pair.tenant, flow=pair.flow
    )


def _longest_gap(facts: Facts, pair: Pair, arrivals: Requests, window: Window) -> Window | None:
    """Return the longest time without an arrival, if chance makes one as long in one run of ten thousand."""
    rate = facts.plan.scenario.load[pair.tenant][pair.flow]
    seconds = (window.end_ns - window.start_ns) / NS_PER_S
    longest_s = log(max(1.0, rate * seconds) / CHANCE_OF_A_GAP) / rate if rate else inf
    end_ns = max(window.start_ns, min(window.end_ns, facts.seen_until_ns))
    edges = np.concatenate([[window.start_ns], arrivals.within(window).due_ns, [end_ns]])
    place = int(np.argmax(np.diff(edges)))
    gap = Window("gap", int(edges[place]), int(edges[place + 1]))
    return gap if gap.end_ns - gap.start_ns > longest_s * NS_PER_S else None


def _whole(windows: list[Window]) -> Window:
    return Window("all phases", windows[0].start_ns, windows[-1].end_ns)


def _not_delivered(
    subject: str, value: str, bound: str, samples: int, reason: str, pair: Pair | None = None
) -> Finding:
    tenant, flow = pair or (None, None)
    status, cause = Status.UNKNOWN, Cause.LOAD_NOT_DELIVERED
    return Finding(
        "", subject, status, value, bound, samples, None, cause=cause, reason=reason, tenant=tenant, flow=flow
    )


def _expected(facts: Facts, pair: Pair, window: Window) -> float:
    """Return the mean number of arrivals that the plan has in *window*, its surges included."""
    rate = facts.plan.scenario.load[pair.tenant][pair.flow]
    mean = rate * (window.end_ns - window.start_ns) / NS_PER_S
    zero_ns = facts.phase(Phase.WARMUP).start_ns
    for number, fault in enumerate(facts.plan.scenario.faults):
        if fault.surge and fault.surge.tenant == pair.tenant:
            begin_ns, end_ns = (zero_ns + round(edge * NS_PER_S) for edge in facts.plan.fault_window_s(number))
            overlap_ns = min(end_ns, window.end_ns) - max(begin_ns, window.start_ns)
            mean += rate * (fault.surge.times - 1) * max(0, overlap_ns) / NS_PER_S
    return mean


def generator_kept_up(facts: Facts) -> Iterator[Finding]:
    """Judge how late requests went out and how busy the machine was: warnings, unless they were very late.

    Void time is named, a finding each; what it spoils decides nothing by itself (see `standing.py`).
    """
    windows = [facts.phase(phase) for phase in Phase]
    sent = _arrivals_sent(facts.everything, windows)
    if len(sent) < MOSTLY_SOUND * len(every := _arrivals_sent(facts.raw_everything, windows)):
        sent = every
    if len(sent):
        yield _lag(sent, _whole(windows))
    yield _busy(facts, _whole(windows))
    yield from (_void(facts, void) for void in facts.void)


def _arrivals_sent(rows: Requests, windows: list[Window]) -> Requests:
    inside = rows.within(_whole(windows))
    return inside.only(inside.first).sent


def _lag(sent: Requests, window: Window) -> Finding:
    lag_ms = ranked((sent.start_ns - sent.due_ns) / NS_PER_MS, 0.99)
    about = ("", "start lag p99")
    value, bound = f"{lag_ms:.1f} ms", f"< {LAG_LIMIT_MS:g} ms"
    if lag_ms < LAG_LIMIT_MS:
        return Finding(*about, Status.PASS, value, bound, len(sent), window, severity=Severity.WARNING)
    if lag_ms <= LAG_SPOILS_MS:
        reason = "Latencies include the generator's own lag."
        return Finding(*about, Status.FAIL, value, bound, len(sent), window, severity=Severity.WARNING, reason=reason)
    reason = f"The generator was so late that the load was another one. {_NEXT_STEP}"
    cause = Cause.LOAD_NOT_DELIVERED
    return Finding(*about, Status.UNKNOWN, value, bound, len(sent), window, cause=cause, reason=reason)


def _void(facts: Facts, void: VoidTime) -> Finding:
    begin_s, end_s = facts.offset_s(void.start_ns), facts.offset_s(void.end_ns)
    return Finding(
        check="",
        subject=f"void from {begin_s:.1f} to {end_s:.1f} s",
        status=Status.UNKNOWN,
        value=void.why,
        bound="no void time",
        samples=1,
        window=Window("void", void.start_ns, void.end_ns),
        severity=Severity.WARNING,
        cause=Cause.LOAD_NOT_DELIVERED,
        reason=f"{'No failure in it' if void.only_excuses else 'Nothing that was measured then'} counts. {_NEXT_STEP}",
        measure=f"void {begin_s:.0f}",
    )


def _busy(facts: Facts, window: Window) -> Finding:
    samples = [s for s in facts.metric("host_cpu_busy_ratio") if window.start_ns <= s.time_ns < window.end_ns]
    about, bound = ("", "machine busy"), f"< {BUSY_LIMIT:.0%}"
    if not samples:
        complete = facts.recording.manifest.how is How.COMPLETED
        cause = Cause.TELEMETRY_LOST if complete else Cause.INTERRUPTED
        return Finding(*about, Status.UNKNOWN, "not recorded", bound, 0, window, Severity.WARNING, cause)
    busy = float(np.mean([sample.value for sample in samples]))
    held = busy < BUSY_LIMIT
    status, reason = (
        (Status.PASS, "") if held else (Status.FAIL, "Latencies include the wait for this machine's cores.")
    )
    return Finding(*about, status, f"{busy:.0%}", bound, len(samples), window, Severity.WARNING, reason=reason)
