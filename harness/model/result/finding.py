"""Findings of checks, and the verdict that follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from harness.model.errors import ExitCode
from harness.model.files.scenario import Severity


class Status(Enum):
    """Gravest first; iteration order is used."""

    FAIL = "fail"
    UNKNOWN = "unknown"
    PASS = "pass"


class Cause(Enum):
    """Why something could not be decided."""

    NOT_FELT = "not felt"
    SICK_BASELINE = "sick baseline"
    LOAD_NOT_DELIVERED = "load not delivered"
    TOO_FEW_SAMPLES = "too few samples"
    TELEMETRY_LOST = "telemetry lost"
    CHECK_CRASHED = "check crashed"
    INTERRUPTED = "interrupted"
    NOTHING_JUDGED = "nothing judged"


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the run that a finding speaks of, UTC ns, end excluded."""

    name: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line that shows why, and where to look: a trace id, a service, a time."""

    text: str
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer about one thing.

    `check` is the id that scenarios use in `proves`; `subject` says what was judged ("acme checkout p95").
    `value` and `bound` are written with their units; `samples` is what the value rests on.
    """

    check: str
    subject: str
    status: Status
    value: str
    bound: str
    samples: int
    window: Window | None
    severity: Severity = Severity.CRITICAL
    cause: Cause | None = None  # of UNKNOWN
    reason: str = ""  # one sentence for a person; for UNKNOWN the next step
    evidence: tuple[Evidence, ...] = ()
    tenant: str | None = None
    flow: str | None = None


class How(Enum):
    """How a run ended."""

    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for a whole run."""

    status: Status
    cause: Cause | None
    summary: str  # one sentence: what broke, or why it is not decided
    findings: tuple[Finding, ...]
    rollback_confirmed: bool = True
    how: How = How.COMPLETED

    @property
    def exit_code(self) -> ExitCode:
        """Return the documented exit code of this verdict."""
        if not self.rollback_confirmed:
            return ExitCode.NOT_ROLLED_BACK
        if self.how is How.FAILED:
            return ExitCode.COULD_NOT_RUN
        if self.how is How.INTERRUPTED:
            return ExitCode.INTERRUPTED
        return {Status.PASS: ExitCode.HELD, Status.FAIL: ExitCode.BROKEN, Status.UNKNOWN: ExitCode.UNKNOWN}[self.status]


def worst(statuses: Iterable[Status]) -> Status:
    """Return the gravest status; judging nothing is UNKNOWN, never PASS."""
    seen = set(statuses)
    return next((status for status in Status if status in seen), Status.UNKNOWN)
