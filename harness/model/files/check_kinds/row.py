"""The declaration of one kind of check. What judges it is referred to by name: models import no checks."""

from dataclasses import dataclass

from harness.model.base import Spec
from harness.model.files.fault_kinds.row import Reference
from harness.model.result.signal import Signal

NEVER = "harness.checks.standing:never"
OUTWEIGHED = "harness.checks.standing:outweighed"
ANY_LOSS = "harness.checks.standing:any_loss"
ANY_TOLD_LOSS = "harness.checks.standing:any_told_loss"
NOT_READ_BACK = "harness.checks.standing:not_read_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckKind:
    """One kind of check: how it is written, what judges it, what it rests on, and what its answers mean."""

    name: str
    judge: Reference
    """A function (facts, spec) -> findings; (facts) -> findings for a check of every run."""
    passes: str
    """When a finding passes: a sentence without its subject and its full stop, as in the three below."""
    fails: str
    unknown: str = ""
    """When it cannot be decided, beside what holds for every check."""
    not_exercised: str = ""
    spec: type[Spec] | None = None
    """Its parameters, as pydantic validates them; None for a check of every run. Its docstring says what is claimed."""
    final: bool = False
    """One failure decides, whatever else happened to the run."""
    stands_on: frozenset[Signal] = frozenset()
    """The signals that its findings rest on, see `harness/checks/standing.py`; one without any is always settled."""
    by_absence: Reference = NEVER
    """A function (finding, wholeness) -> bool: whether a failure may come from what is missing."""
    origin: str = ""
    """The distribution that adds it; "" for the harness itself."""
