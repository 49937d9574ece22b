"""Checks of what services did among themselves: breakers, bulkheads, retries, traces, coupling."""

from pydantic import Field, PositiveInt

from harness.model.base import Spec
from harness.model.files.check_kinds.row import ANY_LOSS, ANY_TOLD_LOSS, CheckKind
from harness.model.files.units import Bound, Duration
from harness.model.result.signal import Signal

_SPANS = frozenset({Signal.SPANS})
_TRACED = _SPANS | {Signal.REQUESTS}
_CALLED = _TRACED | {Signal.EVENTS}


class BreakerCheck(Spec):
    """The breaker of a link opens under the fault, answers at once while open, and closes after it."""

    link: str = Field(description="Caller and callee: `orders -> payments`.")
    opens_within: Duration = Field(description="Longest time from the start of the fault.")
    closes_within: Duration = Field(description="Longest time from the end of the fault.")
    refuses_within: Duration = Field(
        default=0.3, description="Half of the victims' requests are answered this fast once it is open."
    )


class BulkheadCheck(Spec):
    """Calls over a link never exceed the limit, and other flows through the caller keep their objectives."""

    link: str = Field(description="Caller and callee: `orders -> payments`.")
    limit: PositiveInt | None = Field(
        default=None,
        description="Most calls under way at once; without it the caller's metric resilience_bulkhead_limit.",
    )
    others_unharmed: bool = Field(default=True, description="Judge the other flows through the caller too.")


class Backoff(Spec):
    """Pauses between attempts: full jitter below a ceiling that doubles."""

    first: Duration = Field(description="The ceiling before the second attempt.")
    longest: Duration = Field(description="Where the ceiling stops to grow.")


class RetriesCheck(Spec):
    """Attempts per call over a link during the fault, and the pauses between them."""

    link: str = Field(description="Caller and callee: `orders -> payments`.")
    amplification: Bound = Field(description="Attempts per call in the fault phase.")
    backoff: Backoff | None = None
    most: PositiveInt = Field(
        default=10, description="Most attempts of one call: a few endless ones hide among many good calls."
    )


class TraceCheck(Spec):
    """Traces are complete, and slow or failed ones point at the faulted link."""

    complete: Bound = Field(default=Bound(">=", 0.99, "%"), description="Share of the traces that lack no span.")
    blames: str | None = Field(default=None, description="The link at which traces of hurt requests must point.")
    errors_name_it: Bound | None = Field(
        default=None, description="Share of the error answers that name the trace of their own request."
    )


class CouplingCheck(Spec):
    """How tightly services hang together, by the traces of the baseline; synchronous calls between services."""

    depth: Bound | None = Field(default=None, description="Longest chain of calls behind a request.")
    fan_out: Bound | None = Field(default=None, description="Services that one service calls for a request.")
    chattiness: Bound | None = Field(default=None, description="Calls of one service to the same other one.")
    shared_stores: Bound | None = Field(
        default=Bound("<=", 0, ""), description="Databases that more than one service calls."
    )


BREAKER = CheckKind(
    name="breaker",
    spec=BreakerCheck,
    judge="harness.checks.breaker:breaker",
    passes="every breaker of the link that had a reason opens in time, is quick while open, and closes in time",
    fails="one never opens, opens or closes late, lets calls through while open, or answers slowly",
    unknown="too few calls reached the link for its breaker to open",
    not_exercised="no call failed or was slow",
    stands_on=_CALLED,
    by_absence=ANY_LOSS,
)
BULKHEAD = CheckKind(
    name="bulkhead",
    spec=BulkheadCheck,
    judge="harness.checks.bulkhead:bulkhead",
    passes="the calls under way never exceed the limit, and all others keep their objectives",
    fails="more calls than the limit are under way at once, or others are harmed",
    unknown="no limit is known, or spans and the bulkhead's own count differ",
    not_exercised="it was never full",
    stands_on=_TRACED,
)
RETRIES = CheckKind(
    name="retries",
    spec=RetriesCheck,
    judge="harness.checks.retries:retries",
    passes="attempts per call are within the bound, and the pauses between them are as declared",
    fails="there are more attempts per call, or the pauses differ",
    unknown="too few calls were made, or the ends of the link count differently",
    not_exercised="no attempt failed",
    stands_on=_SPANS,
)
TRACE = CheckKind(
    name="trace",
    spec=TraceCheck,
    judge="harness.checks.trace:trace",
    passes="the share of complete traces is within the bound, and hurt requests point at the link",
    fails="traces are torn, or point elsewhere",
    unknown="no spans were recorded, or hurt requests have no trace at all",
    not_exercised="no request was hurt, or no error was answered",
    stands_on=_CALLED,
    by_absence=ANY_TOLD_LOSS,
)
COUPLING = CheckKind(
    name="coupling",
    spec=CouplingCheck,
    judge="harness.checks.coupling:coupling",
    passes="each measure of the baseline's traces is within its bound",
    fails="a measure is beyond its bound in more than one trace of twenty, or services share a database",
    unknown="too few whole traces were recorded",
    not_exercised="no service calls a database",
    stands_on=_SPANS,
)

ON_CALLS = (BREAKER, BULKHEAD, RETRIES, TRACE, COUPLING)
