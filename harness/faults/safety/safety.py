"""The harness's side of the promise that nothing outlives it: journal, heartbeat, and the reaper on the other end."""

import asyncio
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from harness.faults.safety.acts import Act, FaultAct, FolderMade, ProcessMade, RunMark
from harness.faults.safety.heartbeat import Heartbeat
from harness.faults.safety.journal import Entry, Journal, is_halted, outstanding
from harness.faults.safety.logbook import describe, event_of, unregister
from harness.faults.safety.marked import Identity, marker
from harness.faults.safety.reaper_process import ReaperProcess
from harness.faults.safety.registry import Registered, register
from harness.faults.safety.undo import Undone, undo_all
from harness.model.errors import HarnessError, RollbackError
from harness.model.run.clock import SteadyClock
from harness.model.run.events import Event, Kind

Emit = Callable[[Event], None]
Token = int
"""Names a journal entry; handed back with `done` once the act is undone."""

_DISMISS_LIMIT_S = 8.0


class Safety:
    """Everything that a run starts or breaks is written down here first.

    From `start` until `dismiss` a reaper watches: if this process dies it undoes everything, if it hangs (stopped, or
    its event loop stuck) for *lease_s* it rolls the faults back. Methods may be called from any thread.
    """

    def __init__(self, run: Path, *, run_id: str, lease_s: float, emit: Emit, clock: SteadyClock) -> None:
        self._run = run
        self._run_id = run_id
        self._emit = emit
        self._clock = clock
        me = Identity.of(psutil.Process().pid)
        assert me is not None
        self._me = me
        self._journal: Journal | None = None
        self._record = ""
        self._reaper = ReaperProcess(self.journal_path, lease_s)
        self._heartbeat = Heartbeat(self._reaper, lease_s, lost=self._reaper_lost)
        self._dismissing = threading.Lock()

    @property
    def marker(self) -> Mapping[str, str]:
        """What every process of the run must have in its environment, so that it is found without a journal."""
        return marker(self._run_id, self._me)

    @property
    def journal_path(self) -> Path:
        """Where the undo journal lies."""
        return self._run / "undo.jsonl"

    async def start(self) -> None:
        """Register the run, open the journal, start the reaper and the heartbeat.

        Raises:
            HarnessError: one of them is impossible; nothing must then be started.
        """
        try:
            await asyncio.to_thread(self._start)
        except OSError as problem:
            msg = f"faults cannot be made safe: {problem}"
            raise HarnessError(msg, hint="`harness doctor` looks at folders and processes") from None
        self._heartbeat.watch_loop(asyncio.get_running_loop())
        self._heartbeat.start()

    def _start(self) -> None:
        _close_to_others(self._run)
        self._journal = Journal(self.journal_path, new=True)
        self._record = str(self._register(reaper=""))
        clock = self._clock
        self.write(
            RunMark(
                self._run_id,
                str(self._me),
                str(self._run),
                clock.anchor_utc_ns,
                clock.anchor_monotonic_ns,
                self._record,
            )
        )
        self._register(reaper=str(self._reaper.start()))

    def _register(self, *, reaper: str) -> Path:
        journal = str(self.journal_path)
        return register(Registered(self._run_id, str(self._run), journal, harness=str(self._me), reaper=reaper))

    def _reaper_lost(self, identity: Identity) -> None:
        self._register(reaper=str(identity))
        self._note("the reaper had died; a new one watches")

    # -- written before it is done (faults, folders) or right after (processes: they carry the mark) -------------------

    def write(self, act: Act) -> Token:
        """Write down what is about to be done. HarnessError if that is impossible: then it must not be done.

        An act that no reader of the journal would undo is refused too.
        """
        if self._journal is None:
            msg = "the undo journal is not open"
            raise HarnessError(msg)
        if why := act.problem(self._run):
            msg = f"{describe(act)} must not be done, for its undo would be refused: {why}"
            raise HarnessError(msg)
        try:
            number = self._journal.write(act)
            if isinstance(act, FaultAct) and is_halted(self.journal_path):  # asked afterwards: who halts reads it then
                self._journal.mark_done(number)
                msg = f"{act.fault} is not placed: `harness abort` was called"
                raise HarnessError(msg)
            return number
        except OSError as problem:
            msg = f"the undo journal cannot be written: {problem.strerror or problem}"
            raise HarnessError(msg, hint=f"free some space at {self._run}") from None

    def process(self, pid: int, name: str, *, stop_signal: int = signal.SIGTERM) -> Token:
        """Watch over a process that was just started, which leads a group of its own."""
        identity = Identity.of(pid)
        return self.write(ProcessMade(name, pid, identity.created_s if identity else 0.0, stop_signal))

    def folder(self, path: Path) -> Token:
        """Remove *path*, whose name must start with "harness-", when the run is over."""
        return self.write(FolderMade(str(path)))

    def proxy(self, api: str) -> None:
        """Renew the lease of the embedded proxy at *api* as well: it drops its faults when all else is dead."""
        self._heartbeat.renew_also(api)

    def done(self, token: Token) -> None:
        """The act is undone, and that was confirmed."""
        if self._journal is not None:
            try:
                self._journal.mark_done(token)
            except OSError:
                self._note("the undo journal cannot be written; what is undone may be undone again")

    def lifted_by(self, token: Token) -> str:
        """Return who has rolled this fault back: the reaper, after missed heartbeats, or `harness abort`; or ""."""
        return next((entry.lifted_by for entry in outstanding(self.journal_path) if entry.number == token), "")

    def is_halted(self) -> bool:
        """Say whether `harness abort` was called: then no more faults are placed."""
        return is_halted(self.journal_path)

    # -- the end -------------------------------------------------------------------------------------------------------

    async def dismiss(self) -> None:
        """Undo whatever is left, and let the reaper go. Safe to call twice, and without `start`.

        Raises:
            RollbackError: a fault may still be in place.
        """
        await asyncio.to_thread(self._dismiss)

    def _dismiss(self) -> None:
        with self._dismissing:
            if self._journal is None:
                return
            left = self.undo_all()
            self._heartbeat.stop()
            code = self._reaper.dismiss(_DISMISS_LIMIT_S)
            self._journal.close()
            self._journal = None
        if code not in (0, None):
            self._note(f"the reaper could not undo everything (exit code {code}): `harness recover` tries again")
        if faults := [undone for undone in left if undone.entry.is_fault]:
            msg = "; ".join(undone.cause for undone in faults)
            raise RollbackError(msg, hint="`harness recover` tries again; then look at the proxy yourself")

    def undo(self, token: Token) -> bool:
        """Undo one entry now; return whether that is confirmed, by whomever."""
        return not self._undo([entry for entry in outstanding(self.journal_path) if entry.number == token])

    def undo_all(self) -> list[Undone]:
        """Undo everything that the journal still holds; return what could not be confirmed. Safe to repeat."""
        return self._undo(outstanding(self.journal_path))

    def _undo(self, entries: Sequence[Entry]) -> list[Undone]:
        left = []
        for undone in undo_all(entries):
            if event := event_of(undone, self._clock, by="harness"):
                self._emit(event)
            is_run = isinstance(undone.entry.act, RunMark)
            if not undone.confirmed:
                left.append(undone)
            elif not (is_run and left):  # the run's mark is last: it stays while anything is left
                self.done(undone.entry.number)
                unregister(undone.entry.act)
        return left

    def _note(self, text: str) -> None:
        self._emit(Event(self._clock.now_ns(), Kind.NOTE, {"text": text}))


def _close_to_others(run: Path) -> None:
    """Let nobody else write into the run's folder: whoever can could put another journal in the place of ours."""
    mode = run.stat().st_mode
    if mode & 0o022:
        run.chmod(mode & ~0o022)
