"""Request rows against the load generator's own counters, over the run and, where it says so, by phase and pair."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.evidence.account.loss import Loss, Signal
from harness.evidence.requests import Pair, Requests
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window
from harness.model.run.events import Kind

if TYPE_CHECKING:
    from harness.evidence.facts import Facts


def lost_requests(facts: "Facts") -> Iterator[Loss]:
    """Yield what `load.ended` counted and no row shows; more rows than it counted are no loss."""
    ended = facts.recording.events_of(Kind.LOAD_ENDED)
    if not ended:
        return
    located = list(_by_pair(facts, ended[-1].text("by_pair")))
    yield from located
    rows = {pair: rows.only(rows.first) for pair, rows in facts.raw_requests.by_pair.items()}
    sent = sum(len(arrivals.sent) for arrivals in rows.values())
    due = sum(len(arrivals) for arrivals in rows.values())
    known = sum(loss.missing for loss in located)
    for counter, recorded in (("sent", sent), ("arrivals", due)):
        counted = int(ended[-1].number(counter))
        if counted - recorded > known:
            told = f"load.ended counts {counted:,} {counter}, {recorded:,} are recorded"
            yield Loss(Signal.REQUESTS, counted - recorded - known, told)
            return


def _by_pair(facts: "Facts", text: str) -> Iterator[Loss]:
    """Read `by_pair`: rows of tenant, flow, phase and arrivals, as JSON."""
    for tenant, flow, phase, due in json.loads(text) if text else ():
        pair, window = Pair(tenant, flow), facts.phase(Phase(phase))
        rows = facts.raw_requests.of(pair)
        recorded = len(_arrivals(rows, window)) if len(rows) else 0
        if due > recorded:
            told = f"the generator counts {due:,} arrivals of {tenant} {flow} in {phase}, {recorded:,} are recorded"
            yield Loss(Signal.REQUESTS, due - recorded, told, window, pair)


def _arrivals(rows: Requests, window: Window) -> Requests:
    return rows.only(rows.first).within(window)
