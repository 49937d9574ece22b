"""The declaration of the check: its parameters and its row."""

from harness.model.base import Spec
from harness.model.files.check_kinds.row import OUTWEIGHED, CheckKind
from harness.model.files.units import Bound
from harness.model.result.signal import Signal


class FairnessCheck(Spec):
    """Under the fault, the slowest tenant's p95 on a flow is at most a multiple of the fastest tenant's."""

    flow: str
    spread: Bound = Bound("<=", 2, "x")


FAIRNESS = CheckKind(
    name="fairness",
    spec=FairnessCheck,
    judge="tenant_fairness.judge:fairness",
    passes="the slowest tenant's p95 is within the bound, as a multiple of the fastest tenant's",
    fails="it is beyond the bound",
    unknown="a tenant has fewer than 20 good answers",
    not_exercised="only one tenant has load on the flow",
    stands_on=frozenset({Signal.REQUESTS}),
    by_absence=OUTWEIGHED,
)
