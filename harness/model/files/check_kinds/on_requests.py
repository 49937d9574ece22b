"""Checks of what clients saw: bounds, deadlines, refusals, the way back to normal."""

from pydantic import Field

from harness.model.base import Spec
from harness.model.files.check_kinds.row import OUTWEIGHED, CheckKind
from harness.model.files.phases import Phase
from harness.model.files.target import Objective
from harness.model.files.units import Bound, Duration, Share
from harness.model.result.signal import Signal

_REQUESTS = frozenset({Signal.REQUESTS})


class ObjectiveCheck(Objective):
    """A flow keeps its bounds for the tenants named (all without a list) in one phase."""

    flow: str = Field(description="Name of a flow of the target.")
    tenants: list[str] = Field(default=[], description="Only these; without a list every tenant with load on the flow.")
    phase: Phase = Field(default=Phase.FAULT, description="The phase whose requests are judged.")


class RecoveryCheck(Spec):
    """Every tenant and flow is back within its objectives so soon after the fault ends."""

    within: Duration = Field(description="Longest time from the end of the fault.")


class DeadlineCheck(Spec):
    """A flow answers, well or badly, within its deadline."""

    flow: str = Field(description="Name of a flow of the target.")
    within: Duration = Field(description="Longest time from when the request was due.")
    share: Share = Field(default=0.99, description="Of the requests in the fault phase.")
    tenants: list[str] = Field(default=[], description="Only these; without a list every tenant with load on the flow.")


class RefusalsCheck(Spec):
    """A tenant's surplus is refused at the door (429 or 503 with Retry-After), quickly."""

    tenant: str = Field(description="Who sends the surplus.")
    share: Bound = Field(description="Of its requests in the fault phase, as refused.")
    within: Duration = Field(default=0.5, description="p95 of the refusals.")


class ImpactCheck(Spec):
    """A flow's p95 under the fault, as a multiple of its baseline."""

    flow: str = Field(description="Name of a flow of the target.")
    p95: Bound = Field(description="Multiple of the p95 in the baseline.")
    tenants: list[str] = Field(default=[], description="Only these; without a list every tenant with load on the flow.")


OBJECTIVE = CheckKind(
    name="objective",
    spec=ObjectiveCheck,
    judge="harness.checks.blast_radius:objective",
    passes="the flow of the tenant is within each bound, with its whole interval",
    fails="it is beyond a bound, with its whole interval",
    unknown="too few requests were made to tell",
    stands_on=_REQUESTS,
    by_absence=OUTWEIGHED,
)
RECOVERY = CheckKind(
    name="recovery",
    spec=RecoveryCheck,
    judge="harness.checks.recovery:recovery",
    passes="every tenant's flow is within its objectives from `within` after the fault until the last arrival",
    fails="a flow is beyond its objectives later than that",
    unknown="too few requests were made after the fault",
    stands_on=_REQUESTS,
    by_absence=OUTWEIGHED,
)
DEADLINE = CheckKind(
    name="deadline",
    spec=DeadlineCheck,
    judge="harness.checks.deadline:deadline",
    passes="at least `share` of the requests under the fault were answered in time",
    fails="fewer were; a request without an answer was not answered in time",
    unknown="too few requests were made to tell",
    stands_on=_REQUESTS,
    by_absence=OUTWEIGHED,
)
REFUSALS = CheckKind(
    name="refusals",
    spec=RefusalsCheck,
    judge="harness.checks.refusals:refusals",
    passes="the share of refusals is within the bound, each says when to come back, and they are quick",
    fails="the share is beyond the bound, refusals lack Retry-After, or they are slow",
    unknown="the target counts fewer refusals by its limiters than clients saw",
    not_exercised="no surplus was sent",
    stands_on=_REQUESTS,
    by_absence=OUTWEIGHED,
)
IMPACT = CheckKind(
    name="impact",
    spec=ImpactCheck,
    judge="harness.checks.impact:impact",
    passes="p95 under the fault, as a multiple of the baseline, is within the bound with its whole interval",
    fails="it is beyond the bound with its whole interval",
    unknown="the interval contains the bound: more requests are needed",
    stands_on=_REQUESTS,
    by_absence=OUTWEIGHED,
)

ON_REQUESTS = (OBJECTIVE, RECOVERY, DEADLINE, REFUSALS, IMPACT)
