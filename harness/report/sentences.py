"""The answers of a run as short sentences, worded the same on the page, on the terminal and in JSON."""

from collections.abc import Sequence

from harness.model.files.scenario import Severity
from harness.model.result.finding import Finding, Status, Verdict, worst
from harness.model.run.plan import Plan
from harness.report.answers import Answers
from harness.report.experience import Experience
from harness.report.words import FINDING_MARKS, count_of, milliseconds, seconds, share

_TROUBLE = (Status.FAIL, Status.UNKNOWN)


def who_was_hurt(answers: Answers) -> str:
    """Return "acme checkout (declared); nobody else", or who was hurt without permission."""
    if not any(e.during.requests for e in answers.experiences):
        return "not seen: no requests under the fault"
    touched = _names([e for e in answers.experiences if e.touched])
    if not answers.hurt:
        return f"nobody, except for a moment {touched}" if touched else "nobody"
    return _hurt(answers) + (f"; for a moment also {touched}" if touched else "")


def _hurt(answers: Answers) -> str:
    declared = _names([e for e in answers.hurt if e.declared])
    others = _names(list(answers.hurt_undeclared))
    if not others:
        return f"{declared} (declared); nobody else"
    return f"{others} (NOT declared)" + (f", beside {declared} (declared)" if declared else "")


def _names(hurt: Sequence[Experience], at_most: int = 4) -> str:
    names = [f"{e.pair.tenant} {e.pair.flow}" for e in hurt]
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more


def how_it_was(experience: Experience) -> str:
    """Return "87% not served, p95 1.50 s (before: 0%, 128 ms)"."""
    during, before = experience.during, experience.before
    now = f"{share(during.bad_share)} not served, p95 {milliseconds(during.p95_ms)}"
    return f"{now} (before: {share(before.bad_share)}, {milliseconds(before.p95_ms)})"


def how_contained(answers: Answers) -> str:
    """Return "after 1.3 s: breaker payments -> provider-a opened"."""
    contained = answers.contained
    if contained is None:
        return "no protection was seen to act"
    return f"after {seconds(contained.after_s)}: {contained.what}"


def how_recovered(answers: Answers) -> str:
    """Return "at most 2.0 s after the fault ended": a bucket of the heat map is the resolution."""
    recovered = answers.recovered
    if recovered is None:
        return "not seen: nothing was recorded after the fault"
    if recovered.after_s is None:
        return "not before the run ended"
    if recovered.after_s == 0:
        return "at once, when the fault ended" if answers.hurt else "nothing to recover from"
    return f"at most {seconds(recovered.after_s)} after the fault ended"


def what_broke_first(answers: Answers) -> str:
    """Return "a call payments -> provider-a, 0.7 s after the fault began"."""
    first = answers.broke_first
    return f"{first.what}, {seconds(first.after_s)} after the fault began" if first else "nothing"


def tally(verdict: Verdict, plan: Plan) -> str:
    """Return "7 of 7 held; built in: 9 of 10 held, 1 unknown; 1 warning": checks as the scenario lists them first."""
    critical = [f for f in verdict.findings if f.severity is Severity.CRITICAL]
    found = dict.fromkeys(f.check for f in critical)
    asked = [check for check in dict.fromkeys(entry.id for entry in plan.scenario.checks) if check in found]
    built_in = [check for check in found if check not in asked]
    parts = [_counted([_status_of(check, critical) for check in asked])] if asked else []
    parts += [f"built in: {_counted([_status_of(check, critical) for check in built_in])}"] if built_in else []
    parts += [count_of(len(warnings(verdict)), "warning")] if warnings(verdict) else []
    return "; ".join(parts) or "none was decided"


def _status_of(check: str, findings: Sequence[Finding]) -> Status:
    return worst(f.status for f in findings if f.check == check)


def _counted(statuses: Sequence[Status]) -> str:
    others = (status for status in (Status.FAIL, Status.UNKNOWN, Status.NOT_EXERCISED) if status in statuses)
    told = [f"{statuses.count(status)} {FINDING_MARKS[status].word}" for status in others]
    return ", ".join([f"{statuses.count(Status.PASS)} of {len(statuses)} held", *told])


def troubles(verdict: Verdict) -> list[Finding]:
    """Return the critical findings that did not pass, failures first."""
    gravity = list(Status)
    critical = (f for f in verdict.findings if f.severity is Severity.CRITICAL and f.status in _TROUBLE)
    return sorted(critical, key=lambda finding: gravity.index(finding.status))


def warnings(verdict: Verdict) -> list[Finding]:
    """Return the warnings that did not pass; they never change the verdict."""
    return [f for f in verdict.findings if f.severity is Severity.WARNING and f.status in _TROUBLE]
