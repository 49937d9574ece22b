"""What a fault of each kind does to a call, and whether a call shows it."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from harness.model.files.faults import Fault
from harness.model.run.clock import NS_PER_S

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST = 0.8
"""A call shows a delay if it took so much of the shortest delay that was asked for."""

MOST_GIVEN_UP = 0.25
"""More calls than this that fail at once are no callers who ran out of time."""

GROWN = 0.5
"""Delays too small to be told from noise in one call: the median must have grown by so much of what was asked for."""

SLOWER = 1.1
"""A throttled link shows if the median call takes so many times what it took before."""

LONG = 2.0
"""A call that took so many times the slow calls of before had to wait."""

NOTICEABLE_S = 0.001
"""No change of a median below this means anything."""


SURE_S = 0.1
"""A call that took less did not have to wait for anybody."""

FAILS_MORE = 0.1
"""So many more of the calls or requests must fail than before."""


class Effect(Enum):
    """What can be seen of a fault in the calls that meet it."""

    DELAY = "takes the delay that was asked for, or is cut off while it waits"
    HOLE = "waits in vain, or fails"
    CUT = "fails"
    SLOWER = "takes longer than before"
    COUNT = "counted by whatever makes the fault; need not show in a call"


_BY_KIND = {
    **dict.fromkeys(("latency", "delay"), Effect.DELAY),
    **dict.fromkeys(("timeout", "black_hole", "pause"), Effect.HOLE),
    **dict.fromkeys(("down", "reset_peer", "reset_request", "lose_reply"), Effect.CUT),
    **dict.fromkeys(("bandwidth", "slicer", "slow_body"), Effect.SLOWER),
}
_SERVER_ERROR = 500
_AT_ONCE = ("kill", "restart")
_REPLIES = ("respond",)
_HARDEST_FIRST = (
    ("down",),
    ("packet_loss",),
    ("timeout", "reset_peer", "bandwidth", "limit_data"),
    ("black_hole", "reset_request", *_REPLIES),
    ("lose_reply", "pause", "kill", "restart"),
)


def effect_of(fault: Fault) -> Effect:
    """Return what of *fault* has to show in the calls that meet it."""
    if fault.kind in _REPLIES:
        return Effect.CUT if getattr(fault, fault.kind).status >= _SERVER_ERROR else Effect.COUNT
    if fault.packet_loss == 1.0 or (fault.bandwidth is not None and fault.bandwidth.rate == 0):
        return Effect.HOLE
    if fault.limit_data is not None and fault.limit_data.bytes == 0:
        return Effect.CUT
    return _BY_KIND.get(fault.kind, Effect.COUNT)


def happens_at_once(fault: Fault) -> bool:
    """Say whether it is an act of one moment: what comes after it is the target's own doing."""
    return fault.kind in _AT_ONCE


def hides(hard: Fault, other: Fault) -> bool:
    """Say whether nothing can be seen of *other* in a call that meets *hard*."""
    return _hardness(hard) < _hardness(other) and _touches_all(hard, other)


def _hardness(fault: Fault) -> int:
    """Return a rank, hardest first; what neither cuts nor holds calls hides nothing."""
    whole = effect_of(fault) in (Effect.CUT, Effect.HOLE) or fault.kind in (*_AT_ONCE, *_REPLIES)
    ranks = (rank for rank, kinds in enumerate(_HARDEST_FIRST) if fault.kind in kinds and whole)
    return next(ranks, len(_HARDEST_FIRST))


def _touches_all(hard: Fault, other: Fault) -> bool:
    if hard.toxicity < 1.0:
        return False
    return hard.scope is None or hard.scope == other.scope


@dataclass(frozen=True, slots=True)
class Delay:
    """What a fault adds to each call, seconds: the least, and in the middle."""

    least_s: float
    middle_s: float

    def __add__(self, other: "Delay") -> "Delay":
        return Delay(self.least_s + other.least_s, self.middle_s + other.middle_s)


NO_DELAY = Delay(0.0, 0.0)


def delay_of(fault: Fault) -> Delay:
    """Return what a latency or a delay adds."""
    if (spec := fault.request_delay) is not None:
        spreads = {"fixed": 0.0, "uniform": 1.0, "normal": 2.0}
        least = 0.0 if spec.distribution == "pareto" else spec.latency - spreads[spec.distribution] * spec.jitter
        middle = spec.latency * (MOST if spec.distribution == "pareto" else 1.0)
        return Delay(max(0.0, least), middle)
    if fault.latency is not None:
        return Delay(max(0.0, fault.latency.latency - fault.latency.jitter), fault.latency.latency)
    return NO_DELAY


@dataclass(frozen=True, slots=True)
class Before:
    """Calls over the same links before the first fault, in seconds; NaN without any."""

    calls: int
    median_s: float
    slow_s: float  # 90th percentile
    failed: float  # share

    @classmethod
    def of(cls, took_s: Floats, failed: Bools) -> "Before":
        """Return what calls that took so long were like."""
        if not len(took_s):
            return cls(0, float("nan"), float("nan"), 0.0)
        return cls(len(took_s), float(np.median(took_s)), float(np.quantile(took_s, 0.9)), float(failed.mean()))


@dataclass(frozen=True, slots=True)
class Met:
    """Calls that began while a fault was there."""

    took_s: Floats
    failed: Bools
    outlasted: Bools  # they ended when the fault was gone
    hidden: Bools  # a harder fault stood in front of this one
    asked: Delay  # what delays on the link add up to
    grown: Floats  # the share of the delay that was there: below 1 while it ramps up
    vouched: bool = False  # the fault was read back, and was there as it was asked for


def shown_by(effect: Effect, met: Met, before: Before) -> Bools:
    """Say of each call whether it shows the effect. A call behind a harder fault shows only a delay, by waiting it."""
    long_s = LONG * before.slow_s if before.calls else 0.0
    if effect is Effect.DELAY:
        waited: Bools = ~met.failed & (met.took_s >= MOST * met.asked.least_s * met.grown)
        cut_off: Bools = met.failed & (met.took_s > (before.median_s if before.calls else 0.0))
        if not _is_told_apart(met.asked, before):
            waited = np.full(len(waited), has_grown(met, before)) & ~met.failed
        elif met.vouched:  # a caller may give up without calling it an error
            waited |= ~met.failed & ~met.hidden & (met.took_s > max(long_s, SURE_S))
        return waited | (cut_off & ~met.hidden)
    if effect is Effect.HOLE:
        return (met.failed | met.outlasted & (met.took_s > long_s) | (met.took_s > max(long_s, SURE_S))) & ~met.hidden
    if effect is Effect.CUT:
        return met.failed & ~met.hidden
    if effect is Effect.SLOWER:
        slower = has_slowed(met, before) or float(met.failed.mean()) >= before.failed + FAILS_MORE
        return np.full(len(met.failed), slower) & ~met.hidden
    return ~met.hidden


def given_up_early(effect: Effect, met: Met, before: Before) -> Bools:
    """Say which calls ended by their caller's own deadline before a delay could show: no evidence either way.

    Only while they are few: where most calls fail at once, something else is in the way.
    """
    early: Bools = met.failed & ~met.hidden & (met.took_s <= (before.median_s if before.calls else 0.0))
    few = effect is Effect.DELAY and len(early) > 0 and float(early.mean()) <= MOST_GIVEN_UP
    return early if few else np.zeros(len(early), dtype=bool)


def _is_told_apart(asked: Delay, before: Before) -> bool:
    return MOST * asked.least_s > before.slow_s if before.calls else asked.least_s > 0


def has_grown(met: Met, before: Before) -> bool:
    """Say whether the median call took longer by about the delay; one that was cut off counts as slow."""
    full = met.grown >= 1.0
    chosen = full if full.any() else np.ones(len(full), dtype=bool)
    took_s = np.where(met.failed & ~met.hidden, np.inf, met.took_s)[chosen]
    was_s = before.median_s if before.calls else 0.0
    if not len(took_s):
        return False
    share = float(met.grown[chosen].mean())
    return float(np.median(took_s)) - was_s >= GROWN * met.asked.middle_s * share


def has_slowed(met: Met, before: Before) -> bool:
    """Say whether the median call took noticeably longer than before."""
    if not before.calls:
        return True
    now_s = float(np.median(met.took_s))
    return now_s >= SLOWER * before.median_s and now_s - before.median_s >= NOTICEABLE_S


def grown_by(begun_ns: Ints, applied_ns: int, ramp_s: float, *, lag_s: float = 0.5) -> Floats:
    """Return how much of a fault with a ramp was there for calls that began then; it grows in steps of *lag_s*."""
    if not ramp_s:
        return np.ones(len(begun_ns))
    age_s = (begun_ns - applied_ns) / NS_PER_S - lag_s
    grown: Floats = np.clip(age_s / ramp_s, 0.0, 1.0)
    return grown
