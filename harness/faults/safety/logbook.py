"""What is written down after an undo: done marks in the journal, events in the recording, the run's deregistration."""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.faults.safety.acts import Act, FaultAct, FolderMade, ProcessMade, RunMark, Unreadable
from harness.faults.safety.journal import Journal, outstanding
from harness.faults.safety.undo import Undone
from harness.model.run.clock import Clock, SteadyClock
from harness.model.run.events import Event, Kind, Value
from harness.recording.event_log import EventLog


class Logbook:
    """Writes for a run whose harness is gone or hangs. A full disk never stops an undo: it is then only not written."""

    def __init__(self, journal: Path, *, by: str, clock: Clock | None = None) -> None:
        self._path = journal
        self._by = by
        self._run = next((e.act for e in outstanding(journal) if isinstance(e.act, RunMark)), None)
        self._clock = clock or _clock_of(self._run)

    def note(self, text: str) -> None:
        """Add a sentence to the run's events."""
        self._append(Event(self._clock.now_ns(), Kind.NOTE, {"text": text}))

    def write(self, done: Iterable[Undone], *, for_the_dead: bool = False) -> bool:
        """Write each undo down as it comes; return whether all were confirmed.

        For a harness that died, the end is told too: a fault that it asked for, and that is not told of, was never
        placed.
        """
        confirmed = True
        for undone in done:
            if event := event_of(undone, self._clock, by=self._by):
                self._append(event)
            confirmed &= undone.confirmed
            is_run = isinstance(undone.entry.act, RunMark)
            if is_run and confirmed and for_the_dead:
                text = f"all that was written down is undone, by the {self._by}"
                self._append(Event(self._clock.now_ns(), Kind.NOTE, {"text": text, "all_undone": True}))
            if confirmed if is_run else undone.confirmed:  # the run's mark is last: it stays while anything is left
                self._in_journal(Journal.mark_done, undone)
                unregister(undone.entry.act)
        return confirmed

    def write_lifted(self, done: Iterable[Undone]) -> None:
        """Write down faults that were rolled back for now; each is reported once."""
        for undone in done:
            if event := event_of(undone, self._clock, by=self._by):
                self._append(event)
            if undone.confirmed and not undone.entry.lifted:
                self._in_journal(lambda journal, number: journal.mark_lifted(number, self._by), undone)

    def _append(self, event: Event) -> None:
        with contextlib.suppress(OSError):
            log = EventLog(self._path.parent)
            try:
                log.append(event)
            finally:
                log.close()

    def _in_journal(self, mark: Callable[[Journal, int], None], undone: Undone) -> None:
        with contextlib.suppress(OSError):
            journal = Journal(self._path)
            try:
                mark(journal, undone.entry.number)
            finally:
                journal.close()


def event_of(undone: Undone, clock: Clock, *, by: str) -> Event | None:
    """Return the event for an undo; a folder or a run has one only when something is left."""
    act, now_ns = undone.entry.act, clock.now_ns()
    if undone.entry.lifted and undone.confirmed:
        return None  # reported when it was lifted
    if isinstance(act, FaultAct):
        return Event(now_ns, *_of_fault(act, undone.cause, by))
    if undone.cause:
        return Event(now_ns, Kind.NOTE, {"text": f"left behind: {undone.cause}"})
    if isinstance(act, ProcessMade):
        fields: dict[str, Value] = {"service": act.name, "pid": act.pid, "code": None, "expected": True}
        return Event(now_ns, Kind.PROCESS_EXITED, fields)
    return None


def _of_fault(act: FaultAct, cause: str, by: str) -> tuple[Kind, dict[str, Value]]:
    if cause:
        return Kind.FAULT_FAILED, {"fault": act.fault, "step": "undo", "cause": cause}
    return Kind.FAULT_UNDONE, {"fault": act.fault, "by": by}


def unregister(act: Act) -> None:
    """Remove the file by which `harness recover` would find the run."""
    if isinstance(act, RunMark) and act.record:
        with contextlib.suppress(OSError):
            Path(act.record).unlink(missing_ok=True)


def describe(act: Act) -> str:
    """Say in a few words what an act left."""
    match act:
        case RunMark():
            return f"run {act.run_id}"
        case ProcessMade():
            return f"process {act.pid} ({act.name})"
        case FolderMade():
            return f"folder {act.path}"
        case Unreadable():
            return f"{act.at} (cannot be read: {act.why})"
        case _:
            return f"{act.fault} on {act.place}"


def _clock_of(run: RunMark | None) -> SteadyClock:
    return SteadyClock(run.anchor_utc_ns, run.anchor_monotonic_ns) if run else SteadyClock()
