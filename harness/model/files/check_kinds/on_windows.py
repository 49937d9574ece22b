"""Checks that compare windows with the fault and windows without it."""

from pydantic import Field

from harness.model.base import Spec
from harness.model.files.check_kinds.row import OUTWEIGHED, CheckKind
from harness.model.files.units import Bound, Share
from harness.model.result.signal import Signal


class UnharmedCheck(Spec):
    """Bystanders are no worse in the windows with the fault than in those without it; it needs an interleaved design.

    What is allowed: `margin` times the median and the p95, and `errors` more of the answers.
    """

    margin: Bound = Field(
        default=Bound("<=", 1.2, "x"), description="Multiple of the median and of the p95 without the fault."
    )
    errors: Share = Field(default=0.02, description="So many more of the answers may fail.")
    tenants: list[str] = Field(default=[], description="Without a list: everybody outside the blast radius.")
    flows: list[str] = Field(default=[], description="Without a list: all flows.")
    reference: str | None = Field(
        default=None,
        description="A tenant that the fault cannot reach: what happens to it meanwhile is taken off the others.",
    )


UNHARMED = CheckKind(
    name="unharmed",
    spec=UnharmedCheck,
    judge="harness.checks.unharmed:unharmed",
    passes="the bystander's difference between windows with and without the fault is within the margin (contained)",
    fails="the difference is beyond the margin, with its whole interval (leaked)",
    unknown="the interval contains the margin (it says how many more pairs would decide), or the design is single",
    not_exercised="nobody that it names is a bystander",
    stands_on=frozenset({Signal.REQUESTS}),
    by_absence=OUTWEIGHED,
)

ON_WINDOWS = (UNHARMED,)
