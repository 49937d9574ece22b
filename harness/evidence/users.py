"""Whose requests a link serves: by the traces of the baseline, for under a fault many never come that far."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from harness.evidence.breaker_history import refused_traces
from harness.evidence.calls import Words
from harness.evidence.facts import Facts
from harness.evidence.ids import Ids, key_of
from harness.evidence.requests import Bools, Pair, Requests
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window

_ALWAYS = 0.9
_SOMETIMES = 0.02


@lru_cache(maxsize=4)
def users_of(facts: Facts, link: str) -> Mapping[Pair, float]:
    """Return the share of each flow's baseline requests whose trace crosses *link*; flows that do not are left out."""
    baseline = facts.phase(Phase.BASELINE)
    crossing = np.unique(key_of(facts.calls(link).trace))
    shares = {}
    for pair in facts.loaded:
        rows = facts.requests.of(pair).within(baseline)
        share = float(np.isin(rows.trace_keys, crossing).mean()) if len(rows) else 0.0
        if share >= _SOMETIMES:
            shares[pair] = share
    return shares


def meets(facts: Facts, link: str, share: float, rows: Requests) -> Bools:
    """Say which of a flow's requests need *link*: all where (nearly) all do, else those that crossed it.

    A request that the link's breaker refused counts as one that would have crossed it.
    """
    if share >= _ALWAYS:
        return np.ones(len(rows), dtype=np.bool_)
    met: Bools = np.isin(
        rows.trace_keys, np.concatenate([key_of(facts.calls(link).trace), refused_traces(facts, link)])
    )
    return met


def demand(facts: Facts, link: str, window: Window) -> tuple[int, float]:
    """Return how many requests of the link's users were due in *window*, and how many calls they stand for."""
    users, baseline = users_of(facts, link), facts.phase(Phase.BASELINE)
    usual = len(facts.requests.of(*users).within(baseline)) if users else 0
    calls_each = len(facts.calls(link).begun_in(baseline)) / usual if usual else 0.0
    due = len(facts.requests.of(*users).within(window)) if users else 0
    return due, due * calls_each


def tenants_of(facts: Facts, keys: Ids) -> Words:
    """Return the tenant of each trace, by the client that sent it; "" where no request has that trace."""
    known, names = _tenants(facts)
    if not len(known):
        return np.full(len(keys), "", dtype=object)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    found: Words = np.where(known[place] == keys, names[place], "")
    return found


@lru_cache(maxsize=1)
def _tenants(facts: Facts) -> tuple[Ids, Words]:
    """Return the traces of all requests in order, and the tenant of each."""
    rows = facts.requests.by_pair.items()
    known = np.concatenate([np.empty(0, np.uint64), *(requests.trace_keys for _, requests in rows)])
    names = np.repeat(
        np.array([pair.tenant for pair, _ in rows], dtype=object), [len(requests) for _, requests in rows]
    )
    order = np.argsort(known, kind="stable")
    return known[order], names[order]
