"""How one case ended, and what that means: proven, unproven, or not decided."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Finding, Status, Verdict
from harness.workflows.prove.cases import Case


class Meaning(Enum):
    """What an outcome shows, gravest first; iteration order is used."""

    BROKEN = "broken"
    """The intact claim did not hold."""
    UNPROVEN = "unproven"
    """The claim held without the protection: nothing misses it."""
    ELSEWHERE = "broke on another check"
    UNDECIDED = "undecided"
    HELD = "held"
    PROVEN = "proven"


@dataclass(frozen=True, slots=True)
class Failed:
    """A check that failed, and by how much."""

    check: str
    told: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one case; `checks` are all whose findings were decided or failed, by their ids."""

    case: str
    status: Status
    cause: Cause | None
    failed: tuple[Failed, ...]
    checks: tuple[str, ...]
    run: str
    seconds: float
    summary: str = ""

    def meaning_for(self, case: Case) -> Meaning:
        """Say what this end shows for *case*."""
        if not case.without:
            return {Status.PASS: Meaning.HELD, Status.FAIL: Meaning.BROKEN}.get(self.status, Meaning.UNDECIDED)
        if self.status is Status.FAIL:
            on_it = any(failed.check == case.must_fail for failed in self.failed)
            return Meaning.PROVEN if on_it else Meaning.ELSEWHERE
        return Meaning.UNPROVEN if self.cause is Cause.UNPROVEN else Meaning.UNDECIDED


def outcome_of(case: Case, verdict: Verdict, *, run: str, seconds: float) -> Outcome:
    """Fold a verdict to what the matrix needs; of each failed check its first finding tells by how much."""
    critical = [f for f in verdict.findings if f.severity is Severity.CRITICAL]
    return Outcome(
        case=case.id,
        status=verdict.status,
        cause=verdict.cause,
        failed=tuple(_failed(critical)),
        checks=tuple(dict.fromkeys(f.check for f in critical)),
        run=run,
        seconds=round(seconds, 1),
        summary=verdict.summary,
    )


def _failed(findings: Iterable[Finding]) -> Iterable[Failed]:
    first: dict[str, Finding] = {}
    for finding in findings:
        if finding.status is Status.FAIL:
            first.setdefault(finding.check, finding)
    return [Failed(check, f"{f.subject}: {f.value} (limit {f.bound})") for check, f in first.items()]
