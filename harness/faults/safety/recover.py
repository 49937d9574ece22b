"""`harness recover`: clean up after runs whose harness and reaper are both gone, and say what was found."""

import contextlib
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.faults.safety.endings import end_processes
from harness.faults.safety.journal import RunMark, outstanding
from harness.faults.safety.logbook import Logbook, describe
from harness.faults.safety.marked import Identity, Marked, marked_processes
from harness.faults.safety.registry import Registered, registered
from harness.faults.safety.undo import MARKED_POLITE_S, Undone, undo_all
from harness.model.run.clock import SteadyClock

_REAPER_LIMIT_S = 6.0
_POLL_S = 0.05


@dataclass
class RecoverReport:
    """What `recover` saw and did, in words; all empty means that nothing was left behind."""

    live: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """True where nothing is left now."""
        return not self.failed


def recover(*, force: bool = False) -> RecoverReport:
    """Undo what dead runs left: faults, processes, folders. Live runs are only listed, unless *force*.

    A run whose reaper still works is waited for, some seconds at most. Running it twice is harmless.
    """
    report = RecoverReport()
    for path, run in registered():
        if run.harness_lives and not force:
            report.live.append(f"{run.run_id} (pid {run.pid})")
        else:
            _recover_run(path, run, report, force=force)
    _end_orphans(report)
    return report


def leftovers() -> list[str]:
    """Return what `recover` would undo, without touching anything."""
    dead = [run for _, run in registered() if not run.harness_lives and not run.reaper_lives]
    acts = [entry.act for run in dead for entry in outstanding(Path(run.journal))]
    left = [describe(act) for act in acts if not isinstance(act, RunMark)]
    known = {act.pid for act in acts if hasattr(act, "pid")}
    return left + [_describe_orphan(marked) for marked in _orphans() if marked.process.pid not in known]


def _recover_run(path: Path, run: Registered, report: RecoverReport, *, force: bool) -> None:
    if run.harness_lives and force:
        _end(run.harness)
    _wait_for_reaper(run)
    journal = Path(run.journal)
    left = outstanding(journal)
    report.found += [f"{run.run_id}: {describe(entry.act)}" for entry in left if not isinstance(entry.act, RunMark)]
    logbook = Logbook(journal, by="recover", clock=SteadyClock())
    if logbook.write(_noted(undo_all(left), run, report), for_the_dead=True):
        path.unlink(missing_ok=True)


def _noted(done: Iterable[Undone], run: Registered, report: RecoverReport) -> Iterator[Undone]:
    for undone in done:
        if not undone.confirmed:
            report.failed.append(f"{run.run_id}: {undone.cause}")
        elif not isinstance(undone.entry.act, RunMark):
            report.undone.append(f"{run.run_id}: {describe(undone.entry.act)}")
        yield undone


def _end(identity: str) -> None:
    """Kill a harness that lives, and nothing else: its reaper undoes the rest."""
    parsed = Identity.parse(identity)
    if process := parsed and parsed.process():
        with contextlib.suppress(psutil.Error):
            process.kill()
            process.wait(_REAPER_LIMIT_S)


def _wait_for_reaper(run: Registered) -> None:
    give_up = time.monotonic() + _REAPER_LIMIT_S
    while run.reaper_lives and time.monotonic() < give_up:
        time.sleep(_POLL_S)


def _end_orphans(report: RecoverReport) -> None:
    """End what carries the mark of a run whose harness is no more, also where no journal tells of it."""
    orphans = list(_orphans())
    asked = [(marked.process, signal.SIGINT) for marked in orphans]
    left = {process.pid for process in end_processes(asked, polite_s=MARKED_POLITE_S)}
    for marked in orphans:
        said = _describe_orphan(marked)
        report.found.append(said)
        (report.failed if marked.process.pid in left else report.undone).append(said)


def _orphans() -> Iterator[Marked]:
    """Yield orphans; those of a run whose reaper is at work are its business."""
    reaped = {run.run_id for _, run in registered() if run.reaper_lives}
    return (marked for marked in marked_processes() if marked.is_orphan and marked.run_id not in reaped)


def _describe_orphan(marked: Marked) -> str:
    return f"{marked.run_id}: orphaned process {marked.process.pid}"
