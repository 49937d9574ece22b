"""A bulkhead bounds the calls under way over a link, so that what hangs there cannot take the caller along."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.checks.bounds import judge_pairs, objectives_of, worst_of
from harness.evidence.facts import Facts
from harness.model.files.scenario import BulkheadCheck, Phase
from harness.model.files.target import ends_of
from harness.model.result.finding import Cause, Finding, Status


def bulkhead(facts: Facts, spec: BulkheadCheck) -> Iterator[Finding]:
    """Judge the peak of calls under way against the limit, and whether everybody else kept the objectives."""
    yield _peak(facts, spec)
    if spec.others_unharmed:
        yield _others(facts, spec.link)


def _peak(facts: Facts, spec: BulkheadCheck) -> Finding:
    window = facts.phase(Phase.FAULT)
    facts.calls_in(spec.link, window)
    calls = facts.calls(spec.link).under_way_in(window)
    limit = _limit(facts, spec)
    judged = _judged(calls.peak, limit)
    value, bound = f"{calls.peak} calls at once at most", f"<= {limit}" if limit else "its limit"
    return Finding(
        "", spec.link, judged.status, value, bound, len(calls), window, cause=judged.cause, reason=judged.reason
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    status: Status
    reason: str
    cause: Cause | None = None


def _judged(peak: int, limit: int | None) -> _Judged:
    if limit is None:
        reason = "Its limit is unknown: say it in the check, or export the metric resilience_bulkhead_limit."
        return _Judged(Status.UNKNOWN, reason, Cause.TELEMETRY_LOST)
    if peak > limit:
        return _Judged(Status.FAIL, "More calls were under way than the bulkhead has places.")
    return _Judged(Status.PASS, "" if peak == limit else "It was never full: its limit was not put to the test.")


def _limit(facts: Facts, spec: BulkheadCheck) -> int | None:
    """Return the limit that the check gives, else the largest that the caller's processes together told."""
    if spec.limit is not None:
        return spec.limit
    told = {sample.service: int(sample.value) for sample in facts.metric("resilience_bulkhead_limit", name=spec.link)}
    return sum(told.values()) or None


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
    )
