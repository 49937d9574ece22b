"""Runs as they go, written by hand: a hang that is contained, one that is not, and a run in which nothing happens."""

from collections.abc import Sequence
from typing import Any

from harness.checks.judge import judge
from harness.model.result.finding import Finding
from harness.model.run.events import Kind
from harness.recording.reader import Recording
from tests.recordings import FAULT_S, LATENCY_MS, LINK, RECOVERY_S, Stretch, Written, arrivals_s, small_plan

OPENED_S, CLOSED_S = 13.5, 23.0
ACME_CHECKOUT = Stretch(FAULT_S, RECOVERY_S, "acme", "checkout")
REFUSED_CHAIN = ("gateway", "orders", "payments")


SLIGHT_MS = 30.0
SLIGHT = [{"link": LINK, "latency": f"{SLIGHT_MS:g}ms"}]
"""A fault that shows and hurts nobody, for stories about something else."""


def all_is_well(written: Written, *, but: Sequence[Stretch] = ()) -> Written:
    """The whole load, healthy; the fault was applied, touched connections, and was rolled back.

    A slight latency (`SLIGHT`) shows in the calls over the link; a larger fault shows in none.
    """
    calm_load(written, but=but)
    written.fault_of_the_plan()
    return written


def calm_load(written: Written, *, but: Sequence[Stretch] = (), end_s: float | None = None, **each: Any) -> None:
    """The load of the plan without *but*; under a slight fault checkouts take as much longer."""
    if [fault.latency for fault in written.plan.scenario.faults] != [_slight()]:
        written.load_as_planned(but=but, end_s=end_s, **each)
        return
    under = Stretch(*written.plan.fault_window_s(0), None, "checkout")
    written.load_as_planned(but=[*but, under], end_s=end_s, **each)
    for tenant, flows in written.plan.scenario.load.items():
        for moment in arrivals_s(under.begin_s, under.end_s, flows["checkout"]) if "checkout" in flows else ():
            if not any(stretch.holds(moment, tenant, "checkout") for stretch in but):
                slower = {"latency_ms": LATENCY_MS["checkout"] + SLIGHT_MS, **each}
                written.request(tenant, "checkout", moment, **slower)


def _slight() -> object:
    return small_plan(scenario={"faults": SLIGHT}).scenario.faults[0].latency


def hang_contained(written: Written) -> Written:
    """The provider hangs: acme's checkouts time out until the breaker opens, then are refused at once."""
    all_is_well(written, but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", FAULT_S, OPENED_S, rate=4, status=504, latency_ms=1500)
    written.breaker((OPENED_S, "open"), (20, "half_open"), (20.7, "open"), (22.9, "half_open"), (CLOSED_S, "closed"))
    refused = {"status": 503, "latency_ms": 12, "chain": REFUSED_CHAIN, "retry_after": True}
    traces = written.requests("acme", "checkout", OPENED_S, RECOVERY_S, rate=4, **refused)
    for number, trace in enumerate(traces):
        about = {"service": "payments", "breaker": LINK, "tenant": "acme", "trace_id": trace.hex()}
        written.event(OPENED_S + number / 4, Kind.BREAKER_REFUSED, **about)
    return written


def hang_uncontained(written: Written) -> Written:
    """The provider hangs and nothing stops acme's checkouts from waiting for it."""
    all_is_well(written, but=[ACME_CHECKOUT])
    written.requests("acme", "checkout", FAULT_S, RECOVERY_S, rate=4, status=504, latency_ms=3000)
    return written


def found(recording: Recording, check: str) -> list[Finding]:
    """Judge a recording and return the findings of one check."""
    return [finding for finding in judge(recording).findings if finding.check == check]


def told(recording: Recording, check: str) -> list[tuple[str, str, str]]:
    """Judge a recording and return subject, status and value of each finding of one check."""
    return [(f.subject, f.status.value, f.value) for f in found(recording, check)]
