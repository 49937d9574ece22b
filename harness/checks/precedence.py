"""From findings to one verdict: what outweighs what, in one place.

    1. what is final at one sight fails: another tenant's data, a broken promise of a write, a rollback not confirmed,
       a guardrail that stopped the run
    2. a run that did not come to its end is unknown
    3. a baseline that is sick or undecided, a load that was not delivered, a late generator, a service that something
       else ended, or a fault that was not applied or not observed makes the run unknown: what failed in it may have
       failed for another reason, what held was not put to the test
    4. a failure fails                                          (failures outweigh unknowns outweigh passes)
    5. anything undecided is unknown, with its gravest cause
    6. nothing judged is unknown; so is a run in which nothing that the scenario asks for had to act

Warnings take no part in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Finding, How, Status

GRAVEST_FIRST = (
    Cause.TAMPERED,
    Cause.INTERRUPTED,
    Cause.LOAD_NOT_DELIVERED,
    Cause.SICK_BASELINE,
    Cause.NOT_OBSERVED,
    Cause.TELEMETRY_LOST,
    Cause.SOURCES_DISAGREE,
    Cause.TOO_FEW_SAMPLES,
    Cause.CHECK_CRASHED,
    Cause.NOTHING_JUDGED,
    Cause.UNPROVEN,
)
_VOID = (Cause.SICK_BASELINE, Cause.NOT_OBSERVED)
_FAULT = frozenset(("fault_applied", "fault_observed"))
_HEALTH = frozenset(("steady_before", "load_delivered", "generator_kept_up", "services_stayed_up"))
"""While one of these is undecided, whatever the cause, nothing that failed counts."""
HELD = "All requested checks were decided and passed."


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding, the kind of its check, and whether the scenario itself asked for it."""

    kind: str
    asked: bool
    finding: Finding
    final: bool = False  # one failure decides, whatever else happened to the run

    def with_finding(self, finding: Finding) -> "Judged":
        """Return the same with another finding."""
        return self if finding is self.finding else replace(self, finding=finding)

    @property
    def failed(self) -> bool:
        """It failed."""
        return self.finding.status is Status.FAIL

    @property
    def exercised(self) -> bool:
        """What it is about had to act."""
        return self.finding.status is not Status.NOT_EXERCISED

    @property
    def cause(self) -> Cause | None:
        """Why it is undecided, if it is."""
        return self.finding.cause or Cause.NOTHING_JUDGED if self.finding.status is Status.UNKNOWN else None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The verdict's head: status, cause of an unknown, and one sentence."""

    status: Status
    cause: Cause | None
    summary: str


def conclude(judged: Sequence[Judged], how: How, end: str | None) -> Conclusion:
    """Weigh the findings of a run that ended as *how*; *end* says why it ended early."""
    critical = [j for j in judged if j.finding.severity is Severity.CRITICAL]
    failed = [j for j in critical if j.failed]
    if final := [j for j in failed if j.final]:
        return _broken(final, failed)
    if how is not How.COMPLETED:
        return Conclusion(Status.UNKNOWN, Cause.INTERRUPTED, _ended_early(how, end))
    if void := [j for j in critical if _voids(j)]:
        return _undecided(void, critical, failed)
    if failed:
        return _broken(failed, failed)
    if undecided := [j for j in critical if j.cause]:
        return _undecided(undecided, critical, failed)
    if not any((j.asked or j.kind == "blast_radius") and j.exercised for j in critical):
        return Conclusion(Status.UNKNOWN, Cause.NOTHING_JUDGED, "Nothing was judged: the scenario asks for no check.")
    asked = [j for j in critical if j.asked]
    if asked and not any(j.exercised for j in asked):
        return Conclusion(Status.UNKNOWN, Cause.NOTHING_JUDGED, "None of the requested checks had anything to judge.")
    return Conclusion(Status.PASS, None, HELD)


def _voids(judged: Judged) -> bool:
    """Say whether a finding takes their weight from all failures but final ones."""
    if judged.kind in _FAULT:
        return judged.cause in _VOID
    return judged.kind in _HEALTH and judged.cause is not None


def _broken(first: Sequence[Judged], failed: Sequence[Judged]) -> Conclusion:
    finding = first[0].finding
    also = len(failed) - 1
    more = f" {also} more finding{'s' if also > 1 else ''} failed." if also else ""
    told = f"{finding.check}: {finding.subject}: {finding.value} (asked for: {finding.bound}). {finding.reason}".strip()
    return Conclusion(Status.FAIL, None, told + more)


def _undecided(deciding: Sequence[Judged], critical: Sequence[Judged], failed: Sequence[Judged]) -> Conclusion:
    """Name the gravest cause of all, and tell of a finding that has it."""
    causes = [j.cause for j in critical if j.cause]
    cause = min(causes, key=GRAVEST_FIRST.index)
    finding = next(j for j in (*deciding, *critical) if j.cause is cause).finding
    told = f"{finding.check}: {finding.subject}: {finding.value}. {finding.reason}".strip()
    void = f" {len(failed)} failed finding{'s do' if len(failed) > 1 else ' does'} not count then." if failed else ""
    return Conclusion(Status.UNKNOWN, cause, told + void)


def _ended_early(how: How, end: str | None) -> str:
    word = "failed" if how is How.FAILED else "was interrupted"
    return f"The run {word} before its end: {end.rstrip('.')}." if end else f"The run {word} before its end."


def unproven(without: Sequence[str]) -> Conclusion:
    """A claim that holds without its protection does not show that the protection is needed."""
    names = ", ".join(without)
    return Conclusion(Status.UNKNOWN, Cause.UNPROVEN, f"The claim held without {names}: this run does not need it.")


def no_test(why: str) -> Conclusion:
    """What could not fail did not pass."""
    return Conclusion(Status.UNKNOWN, Cause.NOTHING_JUDGED, f"Nothing was put to the test: {why}.")
