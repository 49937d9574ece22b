"""Judging a run: every check on what was recorded, and the verdict that follows. Pure: nothing but the recording."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.checks.catalogue import OF_EVERY_RUN, Check, asked, check_of
from harness.checks.precedence import Judged, conclude, no_test, unproven
from harness.checks.standing import Standing, settled
from harness.checks.tampered import distrusted
from harness.evidence.facts import Facts, UndecidableError
from harness.model.base import Spec
from harness.model.errors import DamagedRecordingError
from harness.model.files.falsifiable import why_it_cannot_fail
from harness.model.files.scenario import Severity
from harness.model.files.target import ends_of
from harness.model.result.finding import Cause, Finding, How, Status, Verdict
from harness.recording.reader import Recording

KILLED = "the harness was killed"
_SEEN_ONCE_DONE = frozenset(("fault_applied", "rollback"))


def judge(recording: Recording) -> Verdict:
    """Return the verdict; the same recording always gets the same one.

    A check that raises becomes a finding of its own, the others go on. A recording that was changed since its run is
    unknown, whatever they found.

    Raises:
        DamagedRecordingError: what no check can do without cannot be read, and was not changed after the run.
    """
    try:
        verdict = _judged(recording)
    except DamagedRecordingError:
        if not recording.tampered:
            raise
        how = recording.manifest.how or How.INTERRUPTED
        verdict = Verdict(Status.UNKNOWN, Cause.TAMPERED, "", findings=(), how=how)
    return distrusted(verdict, recording.tampered)


def _judged(recording: Recording) -> Verdict:
    facts = Facts(recording)
    judged = [j for entry in _entries(facts) for j in _run(facts, entry)]
    how = recording.manifest.how or How.INTERRUPTED
    if how is not How.COMPLETED:
        judged = [_unless_cut_short(facts, j) for j in judged]
    conclusion = conclude(judged, how, recording.manifest.cause if recording.manifest.how else KILLED)
    if conclusion.status is Status.PASS and (why := why_it_cannot_fail(facts.plan.scenario, facts.plan.target)):
        conclusion = no_test(why[0][1])
    if conclusion.status is Status.PASS and facts.plan.without:
        conclusion = unproven(facts.plan.without)
    return Verdict(
        status=conclusion.status,
        cause=conclusion.cause,
        summary=conclusion.summary,
        findings=tuple(j.finding for j in judged),
        rollback_confirmed=not any(j.kind == "rollback" and j.finding.status is not Status.PASS for j in judged),
        how=how,
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """One check to be run: what findings call it, its kind, and whether the scenario itself asks for it."""

    id: str
    kind: str
    asked: bool
    severity: Severity
    run: Callable[[Facts], Iterable[Finding]]
    final: bool
    standing: Standing


def _entries(facts: Facts) -> Iterator[_Entry]:
    checks, known = facts.plan.scenario.checks, asked()
    for entry in checks:
        check = known[entry.kind]
        standing = _standing(facts, check, entry.spec)
        judge_it = _with(check.judge, entry.spec)
        yield _Entry(entry.id, entry.kind, True, entry.severity, judge_it, check.kind.final, standing)
    for kind in OF_EVERY_RUN:
        if kind.name not in {entry.kind for entry in checks}:
            check = check_of(kind)
            standing = Standing(kind.stands_on, check.by_absence)
            yield _Entry(kind.name, kind.name, False, Severity.CRITICAL, check.judge, kind.final, standing)


def _standing(facts: Facts, check: Check, spec: Spec) -> Standing:
    """Return what an asked for check stands on: of its signals only what its link, service or ledger is about."""
    link, service, ledger = (getattr(spec, name, None) for name in ("link", "service", "ledger"))
    about = {*(ends_of(link) if link else ()), *filter(None, (service, ledger))}
    if ledger in facts.plan.target.ledgers:
        about |= {facts.plan.target.ledgers[ledger].of or ledger}
    return Standing(check.kind.stands_on, check.by_absence, frozenset(about))


def _with(check: Callable[[Facts, Any], Iterable[Finding]], spec: Spec) -> Callable[[Facts], Iterable[Finding]]:
    return lambda facts: check(facts, spec)


def _run(facts: Facts, entry: _Entry) -> Sequence[Judged]:
    try:
        found = list(entry.run(facts))
    except UndecidableError as error:
        found = [_undecided(error.cause, str(error))]
    except Exception as error:  # noqa: BLE001  whatever a check trips over must not hide what the others found
        found = [_undecided(Cause.CHECK_CRASHED, f"{type(error).__name__}: {error}")]
    if entry.asked and not found:
        found = [_undecided(Cause.NOTHING_JUDGED, "It found nothing to judge: does what it names have any load?")]
    judged = (Judged(entry.kind, entry.asked, _named(finding, entry), entry.final) for finding in found)
    return [_settled(facts, j, entry.standing) for j in judged]


def _settled(facts: Facts, judged: Judged, standing: Standing) -> Judged:
    try:
        return settled(facts, judged, standing)
    except UndecidableError:
        return judged  # there are no phases, so the finding has no window that could lack anything
    except Exception as error:  # noqa: BLE001  whether it can be trusted is not known: then it is not
        reason = f"What it stands on cannot be read: {type(error).__name__}: {error}"
        return judged.with_finding(judged.finding.undecided(Cause.CHECK_CRASHED, reason))


def _undecided(cause: Cause, reason: str) -> Finding:
    return Finding("", "the run", Status.UNKNOWN, "–", "–", 0, None, cause=cause, reason=reason)


def _named(finding: Finding, entry: _Entry) -> Finding:
    severity = Severity.WARNING if entry.severity is Severity.WARNING else finding.severity
    return replace(finding, check=entry.id, severity=severity)


def _unless_cut_short(facts: Facts, judged: Judged) -> Judged:
    """A pass needs its whole window; what is done once, and was seen, stays a pass."""
    finding = judged.finding
    whole = finding.window is not None and finding.window.end_ns <= facts.seen_until_ns
    if finding.status is not Status.PASS or whole or judged.kind in _SEEN_ONCE_DONE:
        return judged
    reason = "The run ended before all of it was seen."
    cut = replace(finding, status=Status.UNKNOWN, cause=Cause.INTERRUPTED, reason=reason)
    return replace(judged, finding=cut)
