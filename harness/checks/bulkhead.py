"""A bulkhead bounds the calls under way over a link, so that what hangs there cannot take the caller along."""

from collections.abc import Iterator

from harness.checks.bounds import judge_pairs, objectives_of, worst_of
from harness.checks.parts import Part
from harness.evidence.agreement import disagree
from harness.evidence.bulkhead_use import Use, use_of
from harness.evidence.facts import Facts
from harness.model.files.scenario import BulkheadCheck, Phase
from harness.model.files.target import ends_of
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Measured, Status


def bulkhead(facts: Facts, spec: BulkheadCheck) -> Iterator[Finding]:
    """Judge the peak of calls under way against the limit, and whether everybody else kept the objectives."""
    yield _peak(facts, spec)
    if spec.others_unharmed:
        yield _others(facts, spec.link)


def _peak(facts: Facts, spec: BulkheadCheck) -> Finding:
    window = facts.phase(Phase.FAULT)
    use = use_of(facts, spec.link, window)
    by_metric = not facts.spans and use.in_use is not None
    if not by_metric:
        facts.calls_in(spec.link, window)
    calls = facts.calls(spec.link).under_way_in(window)
    peak = use.in_use or 0 if by_metric else calls.peak
    limit = spec.limit or use.limit
    judged = _judged(peak, limit, use, is_told=spec.limit is not None)
    value = f"{peak} calls at once at most" + (" (by metrics alone)" if by_metric else "")
    return Finding(
        check="",
        subject=spec.link,
        status=judged.status,
        value=f"{value}; {judged.value}" if judged.value else value,
        bound=f"<= {limit}" if limit else "its limit",
        samples=len(calls),
        window=window,
        cause=judged.cause,
        reason=judged.reason,
        link=spec.link,
        measure="peak",
        measured=Measured.of(peak, ""),
        limit=Bound("<=", limit, "") if limit else None,
    )


def _judged(peak: int, limit: int | None, use: Use, *, is_told: bool) -> Part:
    if limit is None:
        reason = "Its limit is unknown: say it in the check, or export the metric resilience_bulkhead_limit."
        return Part(Status.UNKNOWN, "", reason, Cause.TELEMETRY_LOST)
    if use.silent and not is_told:
        reason = f"{use.silent} of {use.processes} processes did not export their limit: say it in the check."
        return Part(Status.UNKNOWN, "", reason, Cause.TELEMETRY_LOST)
    if told := _disagreement(peak, limit, use):
        return Part(Status.UNKNOWN, f"sources disagree: {told}", "Spans and bulkhead differ.", Cause.SOURCES_DISAGREE)
    if peak > limit or use.beyond:
        return Part(Status.FAIL, "", "More calls were under way than the bulkhead has places.")
    if peak == limit or use.rejected:
        return Part(Status.PASS)
    return Part(Status.NOT_EXERCISED, "", "It was never full: its limit was not put to the test.")


def _disagreement(peak: int, limit: int, use: Use) -> str:
    """Return both numbers where the bulkhead's own word contradicts the spans.

    Its gauge is read now and then: it may miss a peak, never show one that was not there.
    """
    in_use = use.in_use or 0
    if in_use > peak and (disagree(in_use, peak) or in_use > limit >= peak or use.beyond):
        return f"{peak} calls at once by spans, {in_use} places in use by the metric"
    if peak > limit and use.rejected and 0 < in_use <= limit and disagree(peak, in_use):
        return f"{peak} calls at once by spans, {in_use} places in use by the metric, {use.rejected} calls turned away"
    if use.rejected and use.processes == 1 and peak < limit and disagree(limit, peak):
        return f"{peak} calls at once by spans, {use.rejected} turned away although it has {limit} places"
    return ""


def _others(facts: Facts, link: str) -> Finding:
    window = facts.phase(Phase.FAULT)
    found = judge_pairs(facts, facts.bystanders, window, objectives_of(facts))
    subject, bound = f"others beside {ends_of(link)[0]}", "their objectives"
    if not found:
        reason = "Nobody is left to be unharmed: load a flow or tenant with an objective outside the blast radius."
        unknown, cause = Status.UNKNOWN, Cause.TOO_FEW_SAMPLES
        return Finding("", subject, unknown, "nobody", bound, 0, window, cause=cause, reason=reason)
    gravest, held = worst_of(found), sum(finding.status is Status.PASS for finding in found)
    reason = "" if gravest.status is Status.PASS else f"{gravest.subject}: {gravest.value}, {gravest.bound} promised."
    return Finding(
        check="",
        subject=subject,
        status=gravest.status,
        value=f"{held} of {len(found)} objectives held",
        bound=bound,
        samples=sum({(f.tenant, f.flow): f.samples for f in found}.values()),
        window=window,
        cause=gravest.cause,
        reason=reason,
        evidence=gravest.evidence,
        link=link,
        measure="others",
    )
