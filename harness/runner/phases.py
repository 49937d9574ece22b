"""The phases of a run with its faults beside them, and what may end them early."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from harness.drivers.driver import Driver
from harness.faults.schedule import FaultSchedule
from harness.model.errors import HarnessError, RollbackError
from harness.model.files.scenario import Phase
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Event, Kind
from harness.runner.session import Session


async def walk_phases(session: Session, schedule: FaultSchedule, start_ns: int) -> None:
    """Walk through the phases; the fault schedule runs beside them and ends with the fault phase."""
    faults = asyncio.create_task(schedule.run())
    try:
        for phase in Phase:
            begin_ns = start_ns + int(session.plan.offset_s(phase) * NS_PER_S)
            await _sleep_until(session, begin_ns)
            session.emit(Event(begin_ns, Kind.PHASE_STARTED, {"phase": phase.value}))
            if faults.done():
                faults.result()  # a fault that could not be applied ends the run here
        await _sleep_until(session, end_ns(session, start_ns))
        await faults
    finally:
        faults.cancel()
        await asyncio.wait([faults])
        _raise_rollback(faults)


def end_ns(session: Session, start_ns: int) -> int:
    """Return when the last phase ends as planned."""
    return start_ns + int(session.plan.phases.total_s * NS_PER_S)


async def guarded(work: Coroutine[Any, Any, None], guards: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do *work*; a guard that raises ends it. A guard that returns is satisfied."""
    main = asyncio.create_task(work)
    watching = {asyncio.create_task(guard) for guard in guards}
    pending = {main, *watching}
    try:
        while main in pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {main}:
                task.result()
        main.result()
    finally:
        for task in (*watching, main):
            task.cancel()
        await asyncio.wait([main, *watching])
        _raise_rollback(main)


def _raise_rollback(task: "asyncio.Task[None]") -> None:
    """A rollback that failed outweighs whatever else ends the run."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, RollbackError):
        raise error


async def until_crash(driver: Driver) -> None:
    """Raise once something of the target ends that should not have."""
    raise await driver.first_crash()


async def until_disk_full(session: Session) -> None:
    """Raise once the recording cannot be written."""
    await session.disk_failed.wait()
    assert session.disk_error is not None
    raise disk_error(session, session.disk_error)


def disk_error(session: Session, error: OSError) -> HarnessError:
    """Return the error of a recording that cannot be written."""
    return HarnessError(
        f"the recording cannot be written: {error.strerror or error}",
        hint=f"free some space at {session.path.parent}, or choose another folder with --runs",
    )


async def _sleep_until(session: Session, at_ns: int) -> None:
    await asyncio.sleep(max(0.0, (at_ns - session.clock.now_ns()) / NS_PER_S))
