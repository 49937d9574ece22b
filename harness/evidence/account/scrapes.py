"""Scrapes against their schedule: each service is asked for its metrics about once a second."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.evidence.account.loss import Loss, Signal
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.facts import Facts

LONGEST_PAUSE_NS = 3 * NS_PER_S
"""Scrapes that are further apart than this leave a gap: three times the scraper's interval."""


def lost_scrapes(facts: "Facts") -> Iterator[Loss]:
    """Yield stretches in which a service that is scraped was not, or did not answer (`up` is 0)."""
    window = Window("run", facts.phase(Phase.WARMUP).start_ns, facts.phase(Phase.RECOVERY).end_ns)
    for service, answers in facts.scrapes.items():
        times = [time for time, is_up in answers if is_up and window.start_ns <= time < window.end_ns]
        if not times:
            continue
        for before, after in pairwise([window.start_ns, *times, window.end_ns]):
            if after - before > LONGEST_PAUSE_NS:
                seconds = (after - before) / NS_PER_S
                told = f"{service} gave no metrics for {seconds:.1f} s from {facts.offset_s(before):.1f} s on"
                yield Loss(
                    Signal.METRICS, round(seconds), told, Window("gap", before, after), about=service, explicit=False
                )
