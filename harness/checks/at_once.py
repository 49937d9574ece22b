"""While a breaker is open, those who need its link are answered at once: nobody else's answers count."""

from collections.abc import Iterator

import numpy as np

from harness.checks.bounds import Measured, measure
from harness.checks.parts import Part
from harness.evidence.breaker_history import refused_traces
from harness.evidence.facts import Facts
from harness.evidence.requests import Pair, Requests
from harness.evidence.users import meets, users_of
from harness.model.files.scenario import BreakerCheck
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Status, Window
from harness.statistics.shares import FEWEST


def answered_at_once(facts: Facts, spec: BreakerCheck, window: Window) -> Iterator[Part]:
    """Half of the requests that need the link must be answered at once: of all together, and of each flow."""
    groups = _groups(facts, spec.link, window)
    together = Requests.joined(list(groups.values())) if groups else _touched(facts, spec.link, window)
    yield _judged(facts, spec, together, window)
    if len(groups) > 1:
        for pair, rows in groups.items():
            if len(rows) >= FEWEST:
                yield _judged(facts, spec, rows, window, f" of {pair.tenant} {pair.flow}")


def _judged(facts: Facts, spec: BreakerCheck, rows: Requests, window: Window, whose: str = "") -> Part:
    bound = Bound("<=", spec.refuses_within * 1000, "ms")
    measured: Measured = measure(rows, "p50", bound, window, seed=facts.seed)
    about = f"p50 of {measured.samples} requests{whose} while it was open: {measured.value}, {bound} asked for."
    cause = Cause.TOO_FEW_SAMPLES if measured.status is Status.UNKNOWN else None
    return Part(measured.status, "", about if measured.status is not Status.PASS else "", cause)


def _groups(facts: Facts, link: str, window: Window) -> dict[Pair, Requests]:
    """Return the requests of each flow that uses the link by the baseline's traces; of the victims, if any do."""
    users = users_of(facts, link)
    chosen = [pair for pair in users if pair in facts.victims] or list(users)
    found = {}
    for pair in chosen:
        rows = facts.requests.of(pair).within(window)
        found[pair] = rows.only(meets(facts, link, users[pair], rows))
    return found


def _touched(facts: Facts, link: str, window: Window) -> Requests:
    """Return, where no trace tells who uses the link, the victims' requests, else those whose call was refused."""
    if facts.victims:
        return facts.requests.of(*facts.victims).within(window)
    everything = facts.everything.within(window)
    return everything.only(np.isin(everything.trace_keys, refused_traces(facts, link)))
