"""What is missing from a recording: how much of which signal, where it lacks, and who says so."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.evidence.requests import Pair
from harness.model.result.finding import Window
from harness.model.result.signal import Signal

__all__ = ["ANY_FLOW", "Ints", "Loss", "Scope", "Signal", "Wholeness"]

Ints = NDArray[np.int64]
ANY_FLOW = ""
"""The flow of a pair of which only the tenant is known."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a recording that a finding rests on; what is None is not limited."""

    window: Window | None = None
    tenant: str | None = None
    flow: str | None = None
    about: frozenset[str] = frozenset()  # ledgers, or services; empty: all of them

    def holds(self, pair: Pair | None) -> bool:
        """Say whether rows of *pair* (None: of anybody) belong to it."""
        if pair is None:
            return True
        return self.tenant in (None, pair.tenant) and (self.flow in (None, pair.flow) or pair.flow == ANY_FLOW)


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows of one signal that are missing: without a window they may lack anywhere, without a pair anybody's."""

    signal: Signal
    missing: int
    told: str  # a clause for people: "load.ended says 640 were sent, 620 are recorded"
    window: Window | None = None
    pair: Pair | None = None
    about: str = ""  # a ledger or a service
    explicit: bool = True  # the sender or the recorder says so itself; else it follows from another signal

    def touches(self, scope: Scope) -> bool:
        """Say whether what is missing may belong to *scope*."""
        same_thing = not self.about or not scope.about or self.about in scope.about
        return same_thing and scope.holds(self.pair) and _overlap(self.window, scope.window)


def _overlap(one: Window | None, other: Window | None) -> bool:
    return one is None or other is None or (one.start_ns < other.end_ns and other.start_ns < one.end_ns)


@dataclass(frozen=True, slots=True)
class Times:
    """When something is known to be missing, moment by moment, in time order."""

    signal: Signal
    times_ns: Ints
    what: str  # "server spans of payments"
    about: str  # the service
    explained_ns: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """Others that balance them: records that nothing is linked to. Only what exceeds them is missing."""

    def loss_in(self, scope: Scope) -> Loss | None:
        """Return what is missing in *scope*; None where nothing is."""
        if scope.about and self.about not in scope.about:
            return None
        missing = _count(self.times_ns, scope.window) - _count(self.explained_ns, scope.window)
        if missing <= 0:
            return None
        told = f"{missing:,} {self.what} are missing"
        return Loss(self.signal, missing, told, scope.window, about=self.about, explicit=False)


def _count(times_ns: Ints, window: Window | None) -> int:
    if window is None:
        return len(times_ns)
    first, last = np.searchsorted(times_ns, (window.start_ns, window.end_ns))
    return int(last - first)


@dataclass(frozen=True, slots=True)
class Wholeness:
    """How much of a signal is there, in the part of the run that was asked for."""

    signal: Signal
    present: int
    losses: Sequence[Loss]

    @property
    def missing(self) -> int:
        """How many rows are missing at least, by the source that misses most."""
        explicit = sum(loss.missing for loss in self.losses if loss.explicit)
        return max(explicit, sum(loss.missing for loss in self.losses if not loss.explicit))

    @property
    def share(self) -> float:
        """The share that is there; nothing missing is whole, also where nothing is expected."""
        return self.present / (self.present + self.missing) if self.missing else 1.0

    @property
    def is_told(self) -> bool:
        """The sender or the recorder itself says that something is missing."""
        return any(loss.explicit for loss in self.losses)

    def __str__(self) -> str:
        told = "; ".join(dict.fromkeys(loss.told for loss in self.losses))
        return f"{self.share:.1%} of the {self.signal.value} are recorded: {told}"
