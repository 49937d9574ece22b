"""Whose requests met a fault, and whether anybody's requests changed while it was there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.evidence.facts import Facts
from harness.evidence.ids import Ids
from harness.evidence.observed.effects import FAILS_MORE, GROWN, SLOWER, SURE_S, Delay, Effect
from harness.evidence.requests import Pair, Requests
from harness.model.result.finding import Window
from harness.recording.columns import Outcome

_FEW = 3
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class Reach:
    """How many requests of a tenant were made while a fault was there, and how many of them met it."""

    tenant: str
    requests: int
    met: int


def reach_of(facts: Facts, windows: Sequence[Window], met: Ids) -> tuple[Reach, ...]:
    """Return the reach among the victims, or among everybody where the scenario names none; in the plan's order."""
    pairs = facts.victims or facts.loaded
    found = (_reach(facts, tenant, pairs, windows, met) for tenant in dict.fromkeys(pair.tenant for pair in pairs))
    return tuple(reach for reach in found if reach.met or facts.victims)


def _reach(facts: Facts, tenant: str, pairs: Iterable[Pair], windows: Sequence[Window], met: Ids) -> Reach:
    rows = within(facts.requests.of(*(pair for pair in pairs if pair.tenant == tenant)), windows)
    return Reach(tenant, len(rows), int(np.isin(rows.trace_keys, met).sum()))


def within(rows: Requests, windows: Sequence[Window]) -> Requests:
    """Return the requests that were under way in one of the windows."""
    chosen = np.zeros(len(rows), dtype=bool)
    for window in windows:
        chosen |= (rows.due_ns < window.end_ns) & (rows.end_ns > window.start_ns)
    return rows.only(chosen & ~rows.ended(Outcome.DROPPED))


def belong_to_requests(facts: Facts, traces: Ids) -> bool:
    """Say whether any of these traces is that of a request: what runs in the background belongs to nobody."""
    return bool(np.isin(traces, facts.everything.trace_keys).any())


def anybody_changed(facts: Facts, windows: Sequence[Window], effect: Effect, asked: Delay) -> bool:
    """Say whether the victims' requests, or anybody's where there are none, failed more or took longer than before."""
    return any(_changed(facts, pair, windows, effect, asked) for pair in facts.victims or facts.loaded)


def _changed(facts: Facts, pair: Pair, windows: Sequence[Window], effect: Effect, asked: Delay) -> bool:
    before = facts.requests.of(pair).sent
    before = before.only(before.end_ns <= facts.first_asked_ns)
    now = within(facts.requests.of(pair), windows)
    if len(now) < _FEW:
        return False
    if _failed(now) >= _failed(before) + FAILS_MORE:
        return True
    was_ms, is_ms = _slow_ms(before), _slow_ms(now)
    if effect is Effect.DELAY:
        return is_ms - was_ms >= GROWN * asked.middle_s * _MS_PER_S
    return is_ms >= SLOWER * was_ms and is_ms - was_ms >= SURE_S * _MS_PER_S


def _failed(rows: Requests) -> float:
    return 1.0 - float(rows.ended(Outcome.OK).mean()) if len(rows) else 0.0


def _slow_ms(rows: Requests) -> float:
    return float(np.quantile(rows.latency_ms, 0.9)) if len(rows) else 0.0
