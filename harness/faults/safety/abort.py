"""`harness abort`: end all faults of live runs now, and the runs, from any terminal, whatever state they are in.

    halt the journal -> ask the harness to end -> undo its faults from here, and look -> wait, or kill one that hangs

Nothing is left to the harness: it may hang, or be stopped. What it undoes at the same time is undone twice.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil

from harness.faults.safety.journal import Entry, Journal, outstanding
from harness.faults.safety.logbook import Logbook, describe
from harness.faults.safety.marked import Identity
from harness.faults.safety.registry import Registered, registered
from harness.faults.safety.undo import undo_faults

UNDO_LIMIT_S = 0.7
_SECOND_LOOK_S = 0.15
_HURRY_S = 0.1
_REACTS_LIMIT_S = 0.9
PATIENCE_S = 1.4
"""How long a run may take to end before we no longer wait; its faults are gone by then."""
_POLL_S = 0.05


class Ending(Enum):
    """What became of a run."""

    GOES_ON = "goes on without its faults"
    ENDED = "ended"
    IS_ENDING = "is ending"
    KILLED = "did not react and was killed; its reaper clears up"
    WAS_DEAD = "was dead already"


@dataclass(frozen=True, slots=True)
class Aborted:
    """What abort did to one run; `left` says what may still be in place."""

    run_id: str
    ending: Ending
    gone: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """True where every fault was looked at afterwards, and is gone."""
        return not self.left


def abort(runs: Sequence[Registered], *, keep_running: bool = False, patience_s: float = PATIENCE_S) -> list[Aborted]:
    """Undo every fault of *runs* and end them, all at the same time; wait *patience_s* for the end. May be repeated."""
    if not runs:
        return []
    with ThreadPoolExecutor(len(runs)) as threads:
        return list(threads.map(lambda run: _abort(run, None if keep_running else patience_s), runs))


def abortable(named: str | None = None) -> list[Registered]:
    """Return the runs and stacks that live, or are dead and left faults; with a name only those that it fits.

    A name is a run's folder, its id, or a part of that.
    """
    found = [run for _, run in registered() if run.harness_lives or _faults(Path(run.journal))]
    if named is None:
        return found
    folder = str(Path(named).absolute())
    return [run for run in found if named in run.run_id or folder == run.folder]


def _abort(run: Registered, patience_s: float | None) -> Aborted:
    """Abort one run; without patience it goes on."""
    began_s = time.monotonic()
    journal = Path(run.journal)
    _halt(journal)
    before = _numbers(journal)
    lives = run.harness_lives
    if lives and patience_s is not None:
        _ask_to_end(run)
    gone, left = _lift(journal)
    if not lives:
        return Aborted(run.run_id, Ending.WAS_DEAD, gone, left)
    if patience_s is None:
        return Aborted(run.run_id, Ending.GOES_ON, gone, left)
    return Aborted(run.run_id, _end(run, before, began_s, patience_s), gone, left)


# -- its faults --------------------------------------------------------------------------------------------------------


def _halt(journal: Path) -> None:
    with contextlib.suppress(OSError):  # a full disk: the harness cannot write a further fault either
        writing = Journal(journal)
        try:
            writing.mark_halted()
        finally:
            writing.close()


def _lift(journal: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Undo, and after a moment once more: the harness may have been about to place what it had written down."""
    logbook = Logbook(journal, by="abort")
    seen: dict[int, Entry] = {}
    for pause_s in (0.0, _SECOND_LOOK_S):
        time.sleep(pause_s)
        faults = _faults(journal)
        seen |= {entry.number: entry for entry in faults}
        done = undo_faults(faults, limit_s=UNDO_LIMIT_S)
        logbook.write_lifted(done)
    left = {undone.entry.number: undone.cause for undone in done if undone.cause}
    gone = tuple(describe(entry.act) for number, entry in sorted(seen.items()) if number not in left)
    return gone, tuple(left.values())


def _faults(journal: Path) -> list[Entry]:
    return [entry for entry in outstanding(journal) if entry.is_fault]


# -- the run -----------------------------------------------------------------------------------------------------------


def _ask_to_end(run: Registered) -> None:
    """Ask twice, which means in a hurry; a harness that was stopped must wake up to hear it."""
    identity = Identity.parse(run.harness)
    if process := identity and identity.process():
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
            time.sleep(_HURRY_S)
            process.send_signal(signal.SIGTERM)


def _end(run: Registered, before: Iterable[int], began_s: float, patience_s: float) -> Ending:
    """Wait until the run has cleared up; kill a harness that does nothing about it."""
    killed = False
    while _is_registered(run):
        waited_s = time.monotonic() - began_s
        if waited_s > min(_REACTS_LIMIT_S, patience_s) and not killed and not _reacts(run, before):
            _kill(run)
            killed = True
        if waited_s > patience_s:
            return Ending.KILLED if killed else Ending.IS_ENDING
        time.sleep(_POLL_S)
    return Ending.KILLED if killed else Ending.ENDED


def _is_registered(run: Registered) -> bool:
    return any(other.run_id == run.run_id and other.harness == run.harness for _, other in registered())


def _reacts(run: Registered, before: Iterable[int]) -> bool:
    """Say whether the harness said that it heard, or began to clear up."""
    with contextlib.suppress(OSError):
        if b'"SIGTERM' in (Path(run.folder) / "events.jsonl").read_bytes():
            return True
    return not _numbers(Path(run.journal)) >= set(before)


def _numbers(journal: Path) -> frozenset[int]:
    """Return the numbers of what is no fault: those are struck from the journal by the harness alone."""
    return frozenset(entry.number for entry in outstanding(journal) if not entry.is_fault)


def _kill(run: Registered) -> None:
    identity = Identity.parse(run.harness)
    if process := identity and identity.process():
        with contextlib.suppress(psutil.Error):
            os.kill(process.pid, signal.SIGKILL)
