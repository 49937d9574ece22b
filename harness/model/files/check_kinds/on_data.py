"""Checks of data and of what the target reports about itself: ledgers, isolation, metrics, agreement of signals."""

from typing import Annotated

from pydantic import Field

from harness.model.base import Spec
from harness.model.files.check_kinds.row import ANY_TOLD_LOSS, NOT_READ_BACK, CheckKind
from harness.model.files.metric_units import UNITS
from harness.model.files.phases import Phase
from harness.model.files.severity import Severity
from harness.model.files.units import Bound, Duration, Share
from harness.model.result.signal import Signal


class IntegrityCheck(Spec):
    """Every acknowledged write is there, once; no refused one is."""

    ledger: str = Field(description="Name of a ledger of the target.")


class IsolationCheck(Spec):
    """No answer held another tenant's data. Every run gets it, asked or not."""


class MetricCheck(Spec):
    """One of the target's own metrics keeps a bound in one phase."""

    name: str = Field(description="Name of the metric, as it is exposed.")
    service: str | None = Field(default=None, description="The service that exposes it; without one all that do.")
    labels: dict[str, str] = Field(default={}, description="Only series with these labels.")
    measure: Annotated[str, Field(pattern="^(increase|max|min|last)$")] = Field(
        default="increase", description="What is made of its samples in the phase."
    )
    bound: Bound = Field(description="What the measure must keep.")
    unit: Annotated[str, Field(pattern=f"^({'|'.join(UNITS)})$")] | None = Field(
        default=None, description="Unit of the metric, where its name does not end with it (`_seconds`, `_ratio` …)."
    )
    phase: Phase = Field(default=Phase.FAULT, description="The phase whose samples are judged.")
    after: Duration = Field(default=0.0, description="Skip this much of the start of the phase.")
    because: str = Field(default="", description="What it means when the bound is broken.")


class SourceThreshold(Spec):
    """How far one source may be off, and what it means when it is."""

    tolerance: Share = Field(default=0.02, description="Share by which the source may be off.")
    severity: Severity = Field(default=Severity.CRITICAL, description="What it means when it is off by more.")


class SignalsCheck(Spec):
    """Logs, metrics and traces of a service count the requests that its clients sent."""

    service: str = Field(description="Name of a service of the target.")
    metrics: SourceThreshold = SourceThreshold()
    traces: SourceThreshold = SourceThreshold()
    logs: SourceThreshold = SourceThreshold()
    metric: str = Field(
        default="http_server_requests_total", description="The counter of the requests that the service answered."
    )
    log: str = Field(default="request", description="How each line of the access log begins.")


INTEGRITY = CheckKind(
    name="integrity",
    spec=IntegrityCheck,
    judge="harness.checks.integrity:integrity",
    final=True,
    passes="every acknowledged write is there once, and nothing else is",
    fails="an acknowledged write is lost or doubled, or a refused one is there",
    unknown="nothing was acknowledged, or the ledger could not be read back",
    stands_on=frozenset({Signal.LEDGER}),
    by_absence=NOT_READ_BACK,
)
ISOLATION = CheckKind(
    name="isolation",
    spec=IsolationCheck,
    judge="harness.checks.isolation:isolation",
    final=True,
    passes="answers and rows that name a tenant name the one who asked",
    fails="one answer or one row belongs to another tenant",
    unknown="no answer named its tenant",
    stands_on=frozenset({Signal.REQUESTS}),
)
METRIC = CheckKind(
    name="metric",
    spec=MetricCheck,
    judge="harness.checks.metric:metric",
    passes="the metric is within the bound in the phase",
    fails="it is beyond the bound",
    unknown="the metric was not scraped, or gaps leave both answers possible",
    stands_on=frozenset({Signal.METRICS}),
    by_absence=ANY_TOLD_LOSS,
)
SIGNALS = CheckKind(
    name="signals",
    spec=SignalsCheck,
    judge="harness.checks.signals:signals",
    passes="each source counts the requests that clients sent, within its tolerance",
    fails="a source counts more or fewer",
    unknown="nothing was asked of the service, or its metric was scraped less than twice",
    stands_on=frozenset({Signal.REQUESTS, Signal.SPANS, Signal.METRICS, Signal.LOGS}),
    by_absence=ANY_TOLD_LOSS,
)

ON_DATA = (INTEGRITY, ISOLATION, METRIC, SIGNALS)
