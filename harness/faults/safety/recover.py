"""`harness recover`: clean up after runs whose harness and reaper are both gone, and say what was found."""

import contextlib
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.faults.safety.acts import Act, RunMark
from harness.faults.safety.endings import end_processes
from harness.faults.safety.journal import Entry, outstanding
from harness.faults.safety.logbook import Logbook, describe
from harness.faults.safety.marked import Identity, Marked, marked_processes
from harness.faults.safety.registry import Registered, registered, unreadable
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
    report = RecoverReport(failed=[*unreadable()])
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
    left = [*unreadable(), *(describe(act) for act in acts if not isinstance(act, RunMark))]
    known = {act.pid for act in acts if hasattr(act, "pid")}
    return left + [_describe_orphan(marked) for marked in _orphans() if marked.process.pid not in known]


def _recover_run(path: Path, run: Registered, report: RecoverReport, *, force: bool) -> None:
    if run.harness_lives and force:
        _end(run.harness)
    _wait_for_reaper(run)
    journal = Path(run.journal)
    if not journal.exists():
        report.failed.append(f"{run.run_id}: {_without_journal(path, journal)}")
        return
    left, foreign = _split(outstanding(journal), run)
    report.failed += foreign
    if any(_is_alive(entry.act) for entry in outstanding(journal)):
        return  # what is in it belongs to the run that it names
    report.found += [f"{run.run_id}: {describe(entry.act)}" for entry in left if not isinstance(entry.act, RunMark)]
    logbook = Logbook(journal, by="recover", clock=SteadyClock())
    if logbook.write(_noted(undo_all(left), run, report), for_the_dead=not foreign) and not foreign:
        path.unlink(missing_ok=True)


def _split(entries: Sequence[Entry], run: Registered) -> tuple[list[Entry], list[str]]:
    """Set aside what says that the journal is that of another run, which may be alive."""
    foreign = [entry for entry in entries if isinstance(entry.act, RunMark) and not _is_same(entry.act, run)]
    said = [f"{run.run_id}: its journal {run.journal} names another run: {describe(entry.act)}" for entry in foreign]
    return [entry for entry in entries if entry not in foreign], said


def _is_alive(act: Act) -> bool:
    owner = Identity.parse(act.owner) if isinstance(act, RunMark) else None
    return owner is not None and owner.process() is not None


def _is_same(mark: RunMark, run: Registered) -> bool:
    return (mark.run_id, mark.owner) == (run.run_id, run.harness)


def _without_journal(record: Path, journal: Path) -> str:
    return (
        f"its undo journal {journal} is gone, so what it may have left is not known: "
        f"look at its services and proxies, then remove {record}"
    )


def _noted(done: Iterable[Undone], run: Registered, report: RecoverReport) -> Iterator[Undone]:
    for undone in done:
        if not undone.confirmed:
            report.failed.append(f"{run.run_id}: {undone.cause}")
        elif not isinstance(undone.entry.act, RunMark):
            note = f" ({undone.note})" if undone.note else ""
            report.undone.append(f"{run.run_id}: {describe(undone.entry.act)}{note}")
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
    """End what carries the mark of a run whose harness is no more, also where no journal names it."""
    orphans = list(_orphans())
    asked = [(marked.process, signal.SIGINT) for marked in orphans]
    left = {process.pid for process in end_processes(asked, polite_s=MARKED_POLITE_S)}
    for marked in orphans:
        said = _describe_orphan(marked)
        report.found.append(said)
        (report.failed if marked.process.pid in left else report.undone).append(said)


def _orphans() -> Iterator[Marked]:
    """Yield orphans; those of a run whose reaper works are left to it."""
    reaped = {run.run_id for _, run in registered() if run.reaper_lives}
    return (marked for marked in marked_processes() if marked.is_orphan and marked.run_id not in reaped)


def _describe_orphan(marked: Marked) -> str:
    return f"{marked.run_id}: orphaned process {marked.process.pid}"
