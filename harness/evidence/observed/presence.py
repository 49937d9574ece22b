"""How long a fault was really there, from its events, against when it was planned to be there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Event, Kind

LATE_GRACE_NS = NS_PER_S // 4
"""Placing a fault takes a moment: so much of a late start does not count as absence."""

LATE_ACT_NS = NS_PER_S
"""So late may a fault be that happens at one moment, such as a kill."""

HISTORY = (Kind.FAULT_APPLIED, Kind.FAULT_READ_BACK, Kind.FAULT_UNDONE, Kind.FAULT_FAILED)
"""The events that say whether a fault is there."""

Spans = Sequence[tuple[int, int]]
"""Stretches of time in ns, in order and apart from each other."""


@dataclass(frozen=True, slots=True)
class Presence:
    """When a fault was to be there, each repetition a window, and when it was."""

    planned: tuple[Window, ...]
    real: tuple[tuple[int, int], ...]
    begun: tuple[int, ...] = ()  # each time that it was applied
    lifted_by: str = ""
    found: str = ""  # what was there in its place, where it was changed

    @property
    def planned_s(self) -> float:
        """Seconds that it was to be there."""
        return sum(window.end_ns - window.start_ns for window in self.planned) / NS_PER_S

    @property
    def there_s(self) -> float:
        """Seconds of the planned windows in which it was there."""
        return sum(covered_ns(window, self.real) for window in self.planned) / NS_PER_S

    @property
    def share(self) -> float:
        """The part of the planned time in which it was there."""
        return self.there_s / self.planned_s if self.planned_s else 0.0

    @property
    def windows(self) -> tuple[Window, ...]:
        """The real stretches within the planned ones."""
        cut = (
            Window(p.name, max(p.start_ns, begin), min(p.end_ns, end)) for p in self.planned for begin, end in self.real
        )
        return tuple(window for window in cut if window.start_ns < window.end_ns)

    def came(self, least: float, *, at_once: bool = False) -> int:
        """Return how many repetitions came for at least this share of their window, or at once and in time."""
        if at_once:
            return sum(self._came_at_once(number, least) for number in range(len(self.planned)))
        return sum(_stayed(window, self.real, least) for window in self.planned)

    def _came_at_once(self, number: int, least: float) -> bool:
        window = self.planned[number]
        length_ns = window.end_ns - window.start_ns
        later = self.planned[number + 1 :]
        limit_ns = later[0].start_ns if later else window.start_ns + max(round(length_ns * (1 - least)), LATE_ACT_NS)
        if len(self.planned) > 1 and not later:  # the last one has as long as the others
            limit_ns = window.start_ns + (window.start_ns - self.planned[-2].start_ns)
        in_time = any(window.start_ns - LATE_GRACE_NS <= moment < limit_ns for moment in self.begun)
        return in_time or _stayed(window, self.real, least)


def _stayed(window: Window, real: Spans, least: float) -> bool:
    late_ns = min((max(0, begin - window.start_ns) for begin, end in real if end > window.start_ns), default=None)
    if late_ns is None or window.start_ns + late_ns >= window.end_ns:
        return False
    forgiven_ns = min(late_ns, LATE_GRACE_NS, (window.end_ns - window.start_ns) // 2)
    return covered_ns(window, real) + forgiven_ns >= least * (window.end_ns - window.start_ns)


def covered_ns(window: Window, spans: Spans) -> int:
    """Return how much of *window* the spans cover."""
    return sum(max(0, min(end, window.end_ns) - max(begin, window.start_ns)) for begin, end in spans)


def when_there(history: Iterable[Event], until_ns: int) -> list[tuple[int, int]]:
    """Return the stretches in which a fault was there; one that nobody undid was there *until_ns*.

    What was found changed or gone was there until it was last seen intact; without such a sight, not at all.
    """
    spans: list[tuple[int, int]] = []
    since_ns: int | None = None
    is_placed = False
    for moment_ns, is_there, placed in _turns(history):
        is_placed = placed if placed is not None else is_placed
        if is_there and is_placed and since_ns is None:
            since_ns = moment_ns
        elif not is_there and since_ns is not None:
            spans.append((since_ns, max(since_ns, moment_ns)))
            since_ns = None
    if since_ns is not None:
        spans.append((since_ns, max(since_ns, until_ns)))
    return [(begin, end) for begin, end in spans if begin < end]


def _turns(history: Iterable[Event]) -> Iterator[tuple[int, bool, bool | None]]:
    """Yield when, whether the fault is there from then on, and whether it is placed (None: as before)."""
    for event in history:
        intact = event.fields.get("intact")
        if intact is False:
            yield int(event.number("last_intact_ns")), False, None
        if event.kind is Kind.FAULT_READ_BACK:
            if intact is True:
                yield event.time_ns, True, None
        elif event.kind is Kind.FAULT_APPLIED:
            yield event.time_ns, True, True
        elif event.kind is Kind.FAULT_UNDONE or event.text("step") == "apply":
            yield event.time_ns, False, False


def presence_of(planned: Sequence[Window], history: Sequence[Event], *, until_ns: int, lifted_by: str = "") -> Presence:
    """Return the presence of one fault from its events in time order."""
    applied = tuple(event.time_ns for event in history if event.kind is Kind.FAULT_APPLIED)
    changed = [event for event in history if event.fields.get("intact") is False]
    found = changed[-1].text("found") if changed else ""
    by = next((event.text("lifted_by") for event in changed if event.text("lifted_by")), lifted_by)
    others = [event.text("by") for event in history if event.kind is Kind.FAULT_UNDONE]
    by = by or next((other for other in others if other not in ("", "harness")), "")
    return Presence(tuple(planned), tuple(when_there(history, until_ns)), applied, by, found)
