"""Do the sources that tell of a breaker agree: its events, its metric, the calls over its link?"""

from collections.abc import Iterator, Sequence

from harness.checks.parts import Part
from harness.evidence.agreement import CALLS, SHARE
from harness.evidence.breaker_history import CLOSED, STATE_METRIC, Change, History, metric_histories
from harness.evidence.facts import Facts
from harness.model.files.scenario import Phase
from harness.model.result.finding import Cause, Status, Window
from harness.model.run.clock import NS_PER_S

_NEAR_NS = NS_PER_S
"""So near to a change a scrape may show the state before it or the one after it."""


def agree(facts: Facts, link: str, told: Sequence[History], acted: Sequence[History], fault: Window) -> Iterator[Part]:
    """Compare each event history with its metric, and what only the calls tell with what the breaker tells."""
    shown = metric_histories(facts, link)
    until = Window("", fault.start_ns, facts.phase(Phase.RECOVERY).end_ns)
    for history in told:
        if history.source == "events":
            mates = [m for m in shown if (m.service, m.name) == (history.service, history.name)]
            twins = [h for h in told if (h.service, h.name, h.source) == (history.service, history.name, "events")]
            if len(mates) == 1 and len(twins) == 1:
                yield _compared(facts, history, until)
    if told and all(history.source == "calls" for history in acted):
        value = "sources disagree: it told of no opening, its calls stopped"
        reason = "The breaker exports its state and did not open by it, yet its calls stopped: what stopped them?"
        yield Part(Status.UNKNOWN, value, reason, Cause.SOURCES_DISAGREE)


def _compared(facts: Facts, history: History, window: Window) -> Part:
    scrapes = [
        (s.time_ns, s.value)
        for s in facts.metric(STATE_METRIC, name=history.name)
        if s.service == history.service and window.start_ns <= s.time_ns < window.end_ns
        if not any(_is_near(change, s.time_ns) for change in history.changes)
    ]
    by_events = sum(history.state_at(time_ns) != CLOSED for time_ns, _ in scrapes)
    by_metric = sum(value > 0 for _, value in scrapes)
    other = sum((history.state_at(time_ns) != CLOSED) != (value > 0) for time_ns, value in scrapes)
    if other <= max(CALLS, SHARE * len(scrapes)):
        return Part(Status.PASS)
    counts = f"{by_events} of {len(scrapes)} scrapes by its events, {by_metric} by its metric"
    value = f"sources disagree: not closed in {counts}"
    return Part(Status.UNKNOWN, value, "Its events and its metric tell two stories.", Cause.SOURCES_DISAGREE)


def _is_near(change: Change, moment_ns: int) -> bool:
    return abs(change.time_ns - moment_ns) <= _NEAR_NS
