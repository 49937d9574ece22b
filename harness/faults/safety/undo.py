"""Undoing what a journal holds. One implementation: the harness, the reaper and `harness recover` all end here.

faults -> processes -> everything that carries the run's mark -> folders
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psutil

from harness.faults.safety.acts import FaultAct, FolderMade, ProcessMade, RunMark
from harness.faults.safety.endings import POLITE_S, end_processes
from harness.faults.safety.journal import Entry
from harness.faults.safety.marked import Identity, marked_processes

FAULTS_LIMIT_S = 1.6
MARKED_POLITE_S = 0.4  # SIGINT ends everything, and lets an initdb or a database give back its shared memory
_TRIES = 5
_MOST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of one entry; `cause` says why it is not undone, and is empty where it is."""

    entry: Entry
    cause: str = ""
    note: str = field(default="", compare=False)

    @property
    def confirmed(self) -> bool:
        """True where it was looked at afterwards, and is gone."""
        return not self.cause


def undo_faults(entries: Sequence[Entry], *, limit_s: float = FAULTS_LIMIT_S) -> list[Undone]:
    """Roll every fault back and read that it is gone, all at the same time, in *limit_s* and two calls at most.

    What cannot be read may be a fault, and is never confirmed; what the harness cannot have written is not touched.
    """
    faults = [entry for entry in entries if entry.is_fault]
    if not faults:
        return []
    deadline_s = time.monotonic() + limit_s
    with ThreadPoolExecutor(min(len(faults), _MOST_AT_ONCE)) as threads:
        return list(threads.map(lambda entry: _undo_fault(entry, deadline_s), faults))


def undo_all(entries: Sequence[Entry], *, polite_s: float = POLITE_S) -> Iterator[Undone]:
    """Undo everything, and yield each entry as soon as its fate is known; the run's own mark comes last.

    A fault that could not be confirmed is looked at again once the processes, the proxy among them, are gone.
    """
    faults = undo_faults(entries)
    yield from (undone for undone in faults if undone.confirmed)
    yield from _end(entries, polite_s)
    marked = _end_marked(entries)
    yield from _remove_folders(entries)
    yield from undo_faults([undone.entry for undone in faults if not undone.confirmed], limit_s=0.5)
    yield from marked


# -- faults ------------------------------------------------------------------------------------------------------------


def _undo_fault(entry: Entry, deadline_s: float) -> Undone:
    def heal() -> str:
        assert isinstance(entry.act, FaultAct)
        return entry.act.heal(deadline_s)

    return _attempt(entry, heal)


def _attempt(entry: Entry, undo: Callable[[], str]) -> Undone:
    """Undo an entry unless it is not ours; never raise, which would keep the others from being undone."""
    try:
        return Undone(entry, entry.problem or undo())
    except Exception as problem:  # noqa: BLE001  whatever a value in a damaged journal leads to
        return Undone(entry, f"its undo failed: {type(problem).__name__}: {problem}")


# -- processes and folders ---------------------------------------------------------------------------------------------


def _end(entries: Sequence[Entry], polite_s: float) -> list[Undone]:
    made = [(entry, entry.act) for entry in entries if isinstance(entry.act, ProcessMade)]
    ours = [act for entry, act in made if not entry.problem]
    living = [(process, act.stop_signal) for act in ours if (process := Identity(act.pid, act.created_s).process())]
    namesakes = {act.pid for act in ours if act.created_s and psutil.pid_exists(act.pid)} - {p.pid for p, _ in living}
    left = {process.pid for process in end_processes(living, polite_s=polite_s)}
    return [
        Undone(
            entry,
            entry.problem or (f"process {act.pid} ({act.name}) does not end" if act.pid in left else ""),
            f"another process has the number {act.pid} now, and was not touched" if act.pid in namesakes else "",
        )
        for entry, act in made
    ]


def _end_marked(entries: Sequence[Entry]) -> list[Undone]:
    """End what was started and not yet journalled when the harness died, and what services started themselves."""
    runs = [(entry, entry.act) for entry in entries if isinstance(entry.act, RunMark)]
    ended = [
        (entry, _attempt(replace(entry, act=replace(act, record="")), partial(_end_run, act))) for entry, act in runs
    ]
    return [Undone(entry, undone.cause or entry.problem) for entry, undone in ended]


def _end_run(run: RunMark) -> str:
    owner = Identity.parse(run.owner)
    if owner is None:
        return f"{run.owner!r} does not name the harness of {run.run_id}"
    if owner.process() and owner.pid not in (os.getpid(), os.getppid()):
        return f"run {run.run_id} is not ours: its harness (pid {owner.pid}) is alive"
    left: list[psutil.Process] = []
    for _ in range(_TRIES):  # a process may have started another while we looked
        found = [marked.process for marked in marked_processes(run.run_id) if str(marked.owner) == run.owner]
        if not found:
            return ""
        left = end_processes([(process, signal.SIGINT) for process in found], polite_s=MARKED_POLITE_S)
    return f"processes do not end: {', '.join(str(process.pid) for process in left)}" if left else ""


def _remove_folders(entries: Sequence[Entry]) -> list[Undone]:
    made = [(entry, Path(entry.act.path)) for entry in entries if isinstance(entry.act, FolderMade)]
    return [_attempt(entry, partial(_remove, folder)) for entry, folder in made]


def _remove(folder: Path) -> str:
    """Remove a folder; return why it is still there."""
    for _ in range(_TRIES):  # a dying database may still write into it
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return ""
        time.sleep(0.05)
    return f"{folder} cannot be removed"
