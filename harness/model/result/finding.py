"""Findings of checks, and the verdict that follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from math import isfinite

from harness.model.errors import ExitCode
from harness.model.files.scenario import Severity
from harness.model.files.units import Bound


class Status(Enum):
    """Gravest first; iteration order is used."""

    FAIL = "fail"
    UNKNOWN = "unknown"
    PASS = "pass"
    NOT_EXERCISED = "not exercised"
    """What the check is about never had to act: shown apart, never counted as held."""


class Cause(Enum):
    """Why something could not be decided."""

    NOT_OBSERVED = "not observed"
    SICK_BASELINE = "sick baseline"
    LOAD_NOT_DELIVERED = "load not delivered"
    TOO_FEW_SAMPLES = "too few samples"
    TELEMETRY_LOST = "telemetry lost"
    SOURCES_DISAGREE = "sources disagree"
    CHECK_CRASHED = "check crashed"
    TAMPERED = "tampered"
    INTERRUPTED = "interrupted"
    NOTHING_JUDGED = "nothing judged"
    UNPROVEN = "unproven"
    """A protection was switched off, and the claim held all the same."""


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
class Measured:
    """What was measured: a value with its interval, in the unit of its limit ("ms", "%" as a fraction, "" for a count).

    None stands for what has no value: nothing was there to measure, or it never ended.
    """

    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, unit: str, low: float | None = None, high: float | None = None) -> "Measured":
        """Return a measurement whose numbers all fit into JSON: what is not finite becomes None."""
        finite = [number if number is not None and isfinite(number) else None for number in (value, low, high)]
        return cls(finite[0], unit, *finite[1:])


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer about one thing.

    `check` is the id that scenarios use in `proves`; `subject` says what was judged ("acme checkout p95").
    `value` and `bound` are written with their units; `samples` is what the value rests on. Where the answer is a
    number, `measured` and `limit` hold it; trends, baselines and diffs read those, people read the texts.
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
    link: str | None = None
    measure: str = ""  # what of it: "errors", "p95", "opens"; the subject where there is no shorter word
    measured: Measured | None = None
    limit: Bound | None = None

    @property
    def key(self) -> str:
        """Names the finding across runs: check, tenant, flow, link and measure, whatever the texts say."""
        about = [part for part in (self.tenant, self.flow, self.link) if part]
        return "/".join((self.check, *about, self.measure or ("" if about else self.subject))).rstrip("/")

    def undecided(self, cause: Cause, reason: str) -> "Finding":
        """Return the same finding as one that could not be decided."""
        return replace(self, status=Status.UNKNOWN, cause=cause, reason=reason)


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
