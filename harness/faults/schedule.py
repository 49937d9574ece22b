"""The faults of a plan at their planned times. However this ends, every fault is taken back and read back."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from harness.faults.kinds.catalogue import Circumstances, injector_for
from harness.faults.kinds.injector import UNKNOWN, Injector, Observed, Ramped, ReadBack, ReadsBack
from harness.faults.kinds.places import Places
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError, RollbackError
from harness.model.files.faults import Fault
from harness.model.run.clock import NS_PER_S, Clock
from harness.model.run.events import Event, Kind, Value
from harness.model.run.plan import Plan, fault_name

_ResultT = TypeVar("_ResultT")
_OBSERVED_POLL_S = 0.5
_HALTED_POLL_S = 0.5
_TELL_THEMSELVES = ("reaper", "abort")


class FaultSchedule:
    """Applies, watches and undoes the faults of *plan*; times count from the load's start at *start_ns*."""

    def __init__(
        self,
        plan: Plan,
        *,
        start_ns: int,
        driver: Places,
        emit: Callable[[Event], None],
        clock: Clock,
        safety: Safety,
    ) -> None:
        self._plan = plan
        self._start_ns = start_ns
        self._driver = driver
        self._emit = emit
        self._clock = clock
        self._safety = safety

    async def run(self) -> None:
        """Go through all faults; return when the last one is undone.

        Cancelling undoes what is applied and then raises CancelledError; cancelling again skips the last count of what
        was observed, never the undo, which takes at most four seconds.

        Raises:
            HarnessError: a fault could not be applied; the others are undone.
            RollbackError: a fault may still be in place. It outweighs every other end.
        """
        if self._plan.aa:
            return
        tasks = [asyncio.create_task(self._live(n)) for n in range(len(self._plan.scenario.faults))]
        try:
            await asyncio.gather(*tasks)
        finally:
            try:
                await _cancelled(tasks)
            finally:
                _raise_first_rollback(tasks)

    async def _live(self, number: int) -> None:
        fault, name = self._plan.scenario.faults[number], fault_name(number)
        observed = UNKNOWN
        for repetition, window in enumerate(self._plan.fault_windows_s(number), 1):
            start_ns, end_ns = (self._start_ns + int(s * NS_PER_S) for s in window)
            await self._sleep_until(start_ns)
            if await asyncio.to_thread(self._safety.is_halted):
                self._note(Kind.NOTE, name, text=f"{name} is not placed: `harness abort` was called")
                return
            note = partial(self._note, repetition=repetition) if self._plan.is_repeated(number) else self._note
            if fault.surge is not None:
                note(Kind.FAULT_ASKED, name, kind=fault.kind, place=fault.place)
                await self._surge(fault, name, start_ns, end_ns)
            else:
                around = Circumstances(name, self._driver, self._plan.target.flags, self._safety)
                injector = await asyncio.to_thread(injector_for, fault, around)
                note(Kind.FAULT_ASKED, name, kind=fault.kind, place=fault.place)  # from here on it may be in place
                living = LivingFault(fault, name, injector, note, clock=self._clock, observed_before=observed)
                await living.live(self._until_end(end_ns))
                observed = living.observed

    async def _surge(self, fault: Fault, name: str, start_ns: int, end_ns: int) -> None:
        """The load makes it, by its own schedule; here it only gets its place on the time line."""
        self._emit(Event(start_ns, Kind.FAULT_APPLIED, {"fault": name, "kind": fault.kind, "place": fault.place}))
        undone_ns = None
        try:
            await self._sleep_until(end_ns)
            undone_ns = end_ns
        finally:
            self._emit(Event(undone_ns or self._clock.now_ns(), Kind.FAULT_UNDONE, {"fault": name, "by": "harness"}))

    def _note(self, what: Kind, name: str, *, at_ns: int | None = None, **fields: Value) -> None:
        named = fields if what is Kind.NOTE else {"fault": name, **fields}
        self._emit(Event(self._clock.now_ns() if at_ns is None else at_ns, what, named))

    async def _until_end(self, at_ns: int) -> None:
        """Wait until *at_ns*, or until somebody calls `harness abort`."""
        while self._clock.now_ns() < at_ns and not await asyncio.to_thread(self._safety.is_halted):
            await self._sleep_until(min(at_ns, self._clock.now_ns() + int(_HALTED_POLL_S * NS_PER_S)))

    async def _sleep_until(self, at_ns: int) -> None:
        await asyncio.sleep(max(0.0, (at_ns - self._clock.now_ns()) / NS_PER_S))


class LivingFault:
    """One fault from its application to its confirmed undo."""

    def __init__(
        self,
        fault: Fault,
        name: str,
        injector: Injector,
        note: Callable[..., None],
        *,
        clock: Clock,
        observed_before: Observed = UNKNOWN,
    ) -> None:
        self._fault = fault
        self._name = name
        self._injector = injector
        self._note = note
        self._clock = clock
        self._observed = UNKNOWN
        self._observed_before = observed_before
        self._is_applied = False
        self._last_intact_ns = 0
        self._is_intact = True

    @property
    def observed(self) -> Observed:
        """What it touched so far, its earlier repetitions included."""
        return self._observed_before + self._observed

    async def live(self, until: Coroutine[Any, Any, None]) -> None:
        """Apply, wait for *until*, undo. Neither applying nor undoing can be interrupted half-way."""
        hold = asyncio.ensure_future(until)
        try:
            await _uninterrupted(self._apply())
            await self._watch(hold)
        finally:
            hold.cancel()
            await _uninterrupted(self._undo())
            await self._count(final=True)

    async def _apply(self) -> None:
        try:
            await asyncio.to_thread(self._injector.apply)
            there_ns = self._clock.now_ns()  # it is there before it is read back
            is_there = await asyncio.to_thread(self._injector.confirm)
            if (lifted_by := await asyncio.to_thread(self._injector.lifted_by)) or not is_there:
                how = f"and lifted by the {lifted_by}" if lifted_by else "and is not there"
                msg = f"{self._name}: {self._fault.kind} on {self._fault.place} was accepted {how}"
                raise HarnessError(msg)
        except HarnessError as problem:
            self._note(Kind.FAULT_FAILED, self._name, step="apply", cause=str(problem))
            raise
        self._is_applied, self._last_intact_ns = True, there_ns
        self._note(Kind.FAULT_APPLIED, self._name, at_ns=there_ns, kind=self._fault.kind, place=self._fault.place)

    async def _watch(self, hold: "asyncio.Future[None]") -> None:
        """Tell when traffic first feels it, let it grow where it is asked to, and see whether it stays."""
        loop = asyncio.get_running_loop()
        applied_s = loop.time()
        while not hold.done():
            if not self._observed.is_something:
                await self._count()
            if isinstance(self._injector, Ramped) and self._fault.ramp:
                await asyncio.to_thread(self._injector.grow, loop.time() - applied_s)
            await self._read_back()
            await asyncio.wait([hold], timeout=_OBSERVED_POLL_S)
        hold.result()

    async def _read_back(self, *, final: bool = False) -> None:
        """Tell when it is found changed or gone, and when it is back; at the end tell in any case."""
        if not isinstance(self._injector, ReadsBack) or not self._is_applied:
            return
        looked_ns = self._clock.now_ns()
        seen = await asyncio.to_thread(_seen, self._injector)
        if final or (seen.intact is not None and seen.intact != self._is_intact):
            about: dict[str, Value] = {"intact": seen.intact, "found": seen.found or None}
            if seen.intact is False:
                about |= {"last_intact_ns": self._last_intact_ns, "lifted_by": await self._lifted_by()}
            self._note(Kind.FAULT_READ_BACK, self._name, at_ns=looked_ns, **about)
        if seen.intact:
            self._last_intact_ns = looked_ns
        self._is_intact = self._is_intact if seen.intact is None else seen.intact

    async def _lifted_by(self) -> str:
        return await asyncio.to_thread(self._injector.lifted_by) or "somebody"

    async def _undo(self) -> None:
        await self._read_back(final=True)
        lifted_by = await asyncio.to_thread(self._injector.lifted_by)
        if cause := await asyncio.to_thread(self._injector.undo):
            self._note(Kind.FAULT_FAILED, self._name, step="undo", cause=cause)
            msg = f"{self._name}: {self._fault.kind} on {self._fault.place} may still be in place: {cause}"
            raise RollbackError(msg, hint="`harness recover` tries again; then look at the proxy yourself")
        if lifted_by and self._is_applied:
            self._note(Kind.NOTE, self._name, text=f"{self._name} was lifted before its time, by the {lifted_by}")
        if not (lifted_by in _TELL_THEMSELVES and self._is_applied):  # then they have told when
            self._note(Kind.FAULT_UNDONE, self._name, by="harness")
        await asyncio.to_thread(self._injector.settle)

    async def _count(self, *, final: bool = False) -> None:
        """Tell when it is observed first, and at the end how much; a last answer that is missing erases nothing."""
        observed = await asyncio.to_thread(self._injector.observed)
        if observed != UNKNOWN:
            self._observed = observed
        if final or self._observed.is_something:
            self._note(Kind.FAULT_OBSERVED, self._name, **self.observed.counts())


def _seen(injector: ReadsBack) -> ReadBack:
    """Read a fault back; looking must not end a run, so a look that fails is written down as one."""
    try:
        return injector.read_back()
    except Exception as problem:  # noqa: BLE001  whatever it is, it says nothing of the fault
        return ReadBack(None, f"cannot be read: {problem or type(problem).__name__}")


async def _uninterrupted(act: Coroutine[Any, Any, _ResultT]) -> _ResultT:
    """Finish *act*, which is bounded in time, whatever is cancelled meanwhile; then let the cancellation through."""
    task = asyncio.ensure_future(act)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as cancellation:
            cancelled = cancellation
        except Exception:  # noqa: BLE001  it is raised below, by the task itself
            break
    if cancelled is not None and task.exception() is None:
        raise cancelled
    return task.result()


async def _cancelled(tasks: "list[asyncio.Task[None]]") -> None:
    """Cancel all and wait until they are done, their undo included."""

    async def ended() -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    await _uninterrupted(ended())


def _raise_first_rollback(tasks: "list[asyncio.Task[None]]") -> None:
    errors = [task.exception() for task in tasks if task.done() and not task.cancelled()]
    for error in errors:
        if isinstance(error, RollbackError):
            raise error
