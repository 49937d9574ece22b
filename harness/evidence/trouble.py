"""Which calls were in trouble: those that failed, and those far slower than in the baseline."""

import numpy as np

from harness.evidence.calls import Calls
from harness.evidence.facts import Facts
from harness.model.files.scenario import Phase
from harness.model.run.clock import NS_PER_MS

_TIMES = 3
_AT_LEAST_NS = 50 * NS_PER_MS
_SLOW = 0.95


def in_trouble(facts: Facts, link: str, calls: Calls) -> Calls:
    """Return those of *calls* over *link* that failed or took three times what the baseline's slow ones did."""
    usual = facts.calls(link).begun_in(facts.phase(Phase.BASELINE)).took_ns
    p95_ns = float(np.quantile(usual, _SLOW)) if len(usual) else np.inf
    return calls.only(calls.failed | (calls.took_ns > max(_TIMES * p95_ns, p95_ns + _AT_LEAST_NS)))
