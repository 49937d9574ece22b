"""Traces that can be trusted: none is torn, and those of slow or failed requests point at the link in trouble."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from harness.checks.blame import load_traces
from harness.checks.bounds import finding_of, measure_share
from harness.evidence.breaker_history import refused_traces
from harness.evidence.completeness import are_complete
from harness.evidence.facts import Facts, UndecidableError
from harness.evidence.requests import Bools, Pair, Requests
from harness.evidence.users import tenants_of
from harness.model.files.scenario import Phase, TraceCheck
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Status, Window
from harness.model.result.finding import Measured as Number
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Kind
from harness.recording.columns import Outcome

MOST_BLAME = Bound(">=", 0.5, "%")
_STILL_UNDER_WAY_NS = 2 * NS_PER_S  # spans are exported in batches: the last ones may be missing
_ENOUGH_TRACES = 2000


def trace(facts: Facts, spec: TraceCheck) -> Iterator[Finding]:
    """Judge the share of complete traces and, if asked, the share of hurt requests whose trace blames the link."""
    if not facts.spans:
        raise UndecidableError(Cause.TELEMETRY_LOST, "No spans were recorded: do the services export their traces?")
    yield _complete(facts, spec.complete)
    if spec.blames:
        yield _blames(facts, spec.blames)
    if spec.errors_name_it:
        yield _named(facts, spec.errors_name_it)


def _complete(facts: Facts, bound: Bound) -> Finding:
    start_ns, end_ns = facts.phase(Phase.BASELINE).start_ns, facts.phase(Phase.RECOVERY).end_ns
    window = Window("baseline to recovery", start_ns, end_ns)
    settled_ns = min(end_ns, facts.seen_until_ns) - _STILL_UNDER_WAY_NS
    rows = facts.everything.within(Window("settled", start_ns, settled_ns))
    rows = rows.only(rows.ended(Outcome.OK, Outcome.FAILED, Outcome.REFUSED))
    complete = are_complete(facts.recording, rows.trace_keys, entry=facts.plan.target.entry)
    measured = measure_share(rows, complete, bound, window, seed=facts.seed)
    whole = _labelled(finding_of(facts, "complete traces", measured, bound, window), "complete", complete, bound)
    return whole if whole.status is Status.FAIL else _unhidden(facts, whole, rows, complete, bound)


def _unhidden(facts: Facts, whole: Finding, rows: Requests, complete: Bools, bound: Bound) -> Finding:
    """The traces of requests that failed under the fault, and of each tenant, must not be hidden by all the others."""
    under = facts.phase(Phase.FAULT)
    inside = (rows.due_ns >= under.start_ns) & (rows.due_ns < under.end_ns)
    tenants = tenants_of(facts, rows.trace_keys)
    parts = [("that failed under the fault", inside & ~rows.ended(Outcome.OK))]
    parts += [(f"of {name} under the fault", inside & (tenants == name)) for name in sorted(set(tenants.tolist()))]
    for whose, chosen in parts:
        if not chosen.any() or bound.holds(float(complete[chosen].mean())):
            continue
        measured = measure_share(rows.only(chosen), complete[chosen], bound, under, seed=facts.seed)
        if measured.status is Status.FAIL:
            found = finding_of(facts, "complete traces", measured, bound, under)
            told = f"{measured.value} of the {measured.samples} {whose}; {whole.value} of all"
            return _labelled(replace(found, value=told), "complete", complete, bound)
    return whole


def _labelled(finding: Finding, measure: str, hit: Bools, limit: Bound) -> Finding:
    share = float(hit.mean()) if len(hit) else float("nan")
    return replace(finding, measure=measure, measured=finding.measured or Number.of(share, "%"), limit=limit)


def _named(facts: Facts, bound: Bound) -> Finding:
    """From the error that a customer reports to its trace: the answer itself must say which it is."""
    ended = facts.recording.events_of(Kind.LOAD_ENDED)
    answers = int(sum(event.number("error_answers") for event in ended))
    named = answers - int(sum(event.number("untraceable") for event in ended))
    share = named / answers if answers else float("nan")
    status = Status.NOT_EXERCISED if not answers else Status.PASS if bound.holds(share) else Status.FAIL
    reason = "" if answers else "There was no error answer, or the target does not say where one names its trace."
    value = f"{named:,} of {answers:,} error answers"
    found = Finding("", "errors name their trace", status, value, str(bound), answers, None, reason=reason)
    return replace(found, measure="named", measured=Number.of(share, "%"), limit=bound)


def _blames(facts: Facts, link: str) -> Finding:
    window = facts.phase(Phase.FAULT)
    pairs = facts.victims or facts.loaded
    hurt = [facts.requests.of(pair).within(window) for pair in pairs]
    keys = [rows.only(_is_hurt(facts, pair, rows)).trace_keys for pair, rows in zip(pairs, hurt, strict=True)]
    everything = facts.requests.of(*pairs).within(window)
    rows = _spread(everything.only(np.isin(everything.trace_keys, np.concatenate(keys))))
    traces = load_traces(facts.recording, rows.trace_keys)
    refused = refused_traces(facts, link)
    blamed = np.array([trace.culprit(link, refused) == link for trace in traces], dtype=bool)
    measured = measure_share(rows, blamed, MOST_BLAME, window, seed=facts.seed)
    found = finding_of(facts, f"blames {link}", measured, MOST_BLAME, window)
    found = replace(_labelled(found, "blames", blamed, MOST_BLAME), link=link)
    if not len(rows):
        reason = "No request of those that may be hurt failed or was slow: there was nothing to blame."
        return replace(found, status=Status.NOT_EXERCISED, cause=None, reason=reason)
    empty = sum(not trace.spans for trace in traces)
    if found.status is Status.FAIL and MOST_BLAME.holds((int(blamed.sum()) + empty) / len(rows)):
        return found.undecided(Cause.TELEMETRY_LOST, f"{empty} of {len(rows)} hurt requests have no trace at all.")
    return found


def _is_hurt(facts: Facts, pair: Pair, rows: Requests) -> Bools:
    """Failed, or slower than its objective allows most requests to be."""
    objective = facts.plan.target.objectives.get(pair.flow)
    bound = (objective.p95 or objective.p99 or objective.p50) if objective else None
    slow = rows.latency_ms > (bound.limit if bound else np.inf)
    hurt: Bools = (slow | ~rows.ended(Outcome.OK)) & ~rows.ended(Outcome.DROPPED)
    return hurt


def _spread(rows: Requests) -> Requests:
    """Return no more than enough of *rows*, evenly spread."""
    if len(rows) <= _ENOUGH_TRACES:
        return rows
    return rows.only(np.linspace(0, len(rows) - 1, _ENOUGH_TRACES).astype(np.int64))
