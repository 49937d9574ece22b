"""What a bulkhead told about itself: its limit, its places in use, and the calls that it turned away."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from harness.evidence.counters import increase
from harness.evidence.facts import Facts, Sample
from harness.model.result.finding import Window
from harness.model.run.events import Kind

LIMIT_METRIC, IN_USE_METRIC = "resilience_bulkhead_limit", "resilience_bulkhead_in_use"
REJECTED_METRIC = "resilience_bulkhead_rejected_total"


@dataclass(frozen=True, slots=True)
class Use:
    """One window of a bulkhead, all processes of the caller together."""

    limit: int | None  # of all processes that told theirs; None where none did
    silent: int  # processes that told of places in use, not of their limit
    processes: int
    in_use: int | None  # most places in use of one process when it was asked; None where none tells
    beyond: bool  # a process had more places in use than its own limit
    rejected: int


def use_of(facts: Facts, link: str, window: Window) -> Use:
    """Return what the bulkhead of *link* told of *window*."""
    limits = {who: round(limit) for who, limit in _most(facts, LIMIT_METRIC, link, window).items()}
    used = {who: round(places) for who, places in _most(facts, IN_USE_METRIC, link, window, inside=True).items()}
    return Use(
        limit=sum(limits.values()) or None,
        silent=len(set(used) - set(limits)),
        processes=max(1, len(set(used) | set(limits))),
        in_use=max(used.values(), default=None),
        beyond=any(places > limits[who] for who, places in used.items() if who in limits),
        rejected=max(_rejections(facts, link, window), _counted(facts, link, window)),
    )


def _most(
    facts: Facts, metric: str, link: str, window: Window, *, inside: bool = False
) -> Mapping[tuple[str, str], float]:
    """Return each process's largest value in *window*; where it was not asked then, the last one it told."""
    found: dict[tuple[str, str], list[float]] = {}
    for who, samples in _series(facts, metric, link).items():
        values = [s.value for s in samples if window.start_ns <= s.time_ns < window.end_ns]
        if values or not inside:
            found[who] = values or [samples[-1].value]
    return {who: max(values) for who, values in found.items()}


def _series(facts: Facts, metric: str, link: str) -> Mapping[tuple[str, str], list[Sample]]:
    series: dict[tuple[str, str], list[Sample]] = {}
    for sample in facts.metric(metric, name=link):
        if isfinite(sample.value):
            series.setdefault((sample.service, json.dumps(sample.labels, sort_keys=True)), []).append(sample)
    return series


def _rejections(facts: Facts, link: str, window: Window) -> int:
    events = facts.recording.events_of(Kind.BULKHEAD_REJECTED)
    return sum(e.text("bulkhead") == link and window.start_ns <= e.time_ns < window.end_ns for e in events)


def _counted(facts: Facts, link: str, window: Window) -> int:
    return round(sum(increase(s, window) or 0.0 for s in _series(facts, REJECTED_METRIC, link).values()))
