"""One run from a plan to a finished recording. Nothing is judged here.

    stack up -> load at T0 -> warmup | baseline | fault | recovery -> load drains -> stack down -> manifest closed

Every step registers its undo before it acts, on an exit stack that unwinds whatever happens. Behind it stands the
reaper, which does the same from outside should this process die.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.drivers.local import LocalDriver
from harness.faults.safety.safety import Safety
from harness.faults.schedule import FaultSchedule
from harness.load.job import ClockAnchor, LoadJob
from harness.load.process import LoadProcess
from harness.model.errors import HarnessError, RollbackError, TargetError
from harness.model.files.fault_kinds.row import Place
from harness.model.files.scenario import Phase
from harness.model.result.finding import How
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan
from harness.runner.guardrails import Guardrails, GuardrailTrippedError
from harness.runner.interruption import Interruption, interruptible
from harness.runner.session import Listener, Session
from harness.telemetry.host import HostSampler
from harness.telemetry.logs import collect_logs
from harness.telemetry.otlp import OtlpReceiver
from harness.telemetry.scrape import Scraper

LEASE_S = 5.0
_LOAD_HEAD_START_S = 2.0  # Locust's import and the tokens take about half of it
_DRAIN_MARGIN_S = 15.0
"""How long after the last flow's timeout the load process may take to write its rows and to read the ledgers."""

ProgressListener = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run left: its folder, how it ended, and the error to show if it failed."""

    path: Path
    how: How
    error: HarnessError | None


async def run_plan(
    plan: Plan, *, runs: Path, command: Sequence[str], listeners: Sequence[Listener], on_progress: ProgressListener
) -> Ran:
    """Run *plan* and leave a recording, however it ends; only a folder that cannot be made raises (HarnessError)."""
    try:
        session = Session(plan, runs=runs, command=command, listeners=listeners)
    except OSError as problem:
        msg = f"cannot write a recording below {runs}: {problem.strerror or problem}"
        raise HarnessError(msg, hint="free some space, or choose another folder with --runs") from None
    with interruptible() as interruption:
        interruption.on_change(lambda sentence: session.note(Kind.NOTE, text=sentence))
        error = await _attempt(session, interruption, on_progress)
        if error is None and session.disk_error is not None:
            error = _disk_error(session, session.disk_error)
        was_stopped = interruption.by or isinstance(error, GuardrailTrippedError)
        how = How.INTERRUPTED if was_stopped else How.FAILED if error else How.COMPLETED
        session.close(how, interruption.by or (str(error) if error else None))
    return Ran(session.path, how, error)


async def _attempt(session: Session, interruption: Interruption, on_progress: ProgressListener) -> HarnessError | None:
    """Run; return what went wrong. A cancellation by a signal is not an error."""
    try:
        await _run(session, interruption, on_progress)
    except asyncio.CancelledError:
        if interruption.by is None:
            raise
    except HarnessError as error:
        return error
    except OSError as error:
        return _disk_error(session, error)
    return None


async def _run(session: Session, interruption: Interruption, on_progress: ProgressListener) -> None:
    plan, path, clock, emit = session.plan, session.path, session.clock, session.emit
    async with AsyncExitStack() as undo:
        safety = Safety(path, run_id=session.id, lease_s=LEASE_S, emit=emit, clock=clock)
        undo.push_async_callback(safety.dismiss)
        await safety.start()
        undo.callback(collect_logs, path)

        otlp = OtlpReceiver(path, emit=emit, clock=clock)
        undo.push_async_callback(otlp.stop)
        otlp_url = await otlp.start()

        driver = LocalDriver(
            plan.target,
            run=path,
            run_id=session.id,
            otlp=otlp_url,
            without=plan.without,
            seed=plan.seed,
            emit=emit,
            clock=clock,
            safety=safety,
            urgent=interruption.urgent,
            looked_into=_links_looked_into(plan),
        )
        undo.push_async_callback(driver.stop)
        began_ns = clock.now_ns()
        await driver.start()
        session.note(Kind.STACK_STARTED, seconds=round((clock.now_ns() - began_ns) / NS_PER_S, 2))

        scraper = Scraper(path, driver.metrics_endpoints, clock)
        undo.push_async_callback(scraper.stop)
        await scraper.start()
        host = HostSampler(path, clock, pids=lambda: driver.pids)
        undo.push_async_callback(host.stop)
        await host.start()

        def watch_load(pid: int) -> None:
            safety.process(pid, "load")

        def hear_load(progress: Mapping[str, Any]) -> None:
            on_progress(progress)
            guardrails.hear(progress)

        start_ns = clock.now_ns() + int(_LOAD_HEAD_START_S * NS_PER_S)
        guardrails = Guardrails(plan, start_ns=start_ns, clock=clock, emit=emit)
        load = await LoadProcess.start(
            _load_job(session, driver, start_ns),
            emit=emit,
            on_progress=hear_load,
            env={**os.environ, **safety.marker},
            register=watch_load,
        )
        undo.push_async_callback(load.stop)
        session.set_load_start(start_ns)

        schedule = FaultSchedule(plan, start_ns=start_ns, driver=driver, emit=emit, clock=clock, safety=safety)
        guards = (
            _until_crash(driver),
            _until_load_dies(load, session),
            _until_disk_full(session),
            guardrails.until_tripped(),
        )
        await _guarded(_phases(session, schedule, start_ns), guards)
        await _drain(load, plan)


def _links_looked_into(plan: Plan) -> set[str]:
    """Only where a fault is about single requests: everywhere else the bytes pass as they are, at less cost."""
    return {
        fault.link for fault in plan.scenario.faults if fault.link is not None and fault.declared.place is Place.REQUEST
    }


def _load_job(session: Session, driver: LocalDriver, start_ns: int) -> LoadJob:
    clock = session.clock
    anchor = ClockAnchor(utc_ns=clock.anchor_utc_ns, monotonic_ns=clock.anchor_monotonic_ns)
    return LoadJob(
        plan=session.plan,
        base_url=driver.entry_url,
        service_urls=dict(driver.service_urls),
        identities=driver.identities,
        start_ns=start_ns,
        anchor=anchor,
        run=str(session.path),
    )


async def _phases(session: Session, schedule: FaultSchedule, start_ns: int) -> None:
    """Walk through the phases; the fault schedule runs beside them and ends with the fault phase."""
    faults = asyncio.create_task(schedule.run())
    try:
        for phase in Phase:
            begin_ns = start_ns + int(session.plan.offset_s(phase) * NS_PER_S)
            await _sleep_until(session, begin_ns)
            session.emit(Event(begin_ns, Kind.PHASE_STARTED, {"phase": phase.value}))
            if faults.done():
                faults.result()  # a fault that could not be applied ends the run here
        await _sleep_until(session, start_ns + int(session.plan.phases.total_s * NS_PER_S))
        await faults
    finally:
        faults.cancel()
        await asyncio.wait([faults])
        _raise_rollback(faults)


def _raise_rollback(faults: "asyncio.Task[None]") -> None:
    """A rollback that failed outweighs whatever else ends the run."""
    error = None if faults.cancelled() else faults.exception()
    if isinstance(error, RollbackError):
        raise error


async def _sleep_until(session: Session, at_ns: int) -> None:
    await asyncio.sleep(max(0.0, (at_ns - session.clock.now_ns()) / NS_PER_S))


async def _guarded(work: Coroutine[Any, Any, None], guards: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do *work*; a guard that raises ends it. Guards never return by themselves."""
    main = asyncio.create_task(work)
    watching = [asyncio.create_task(guard) for guard in guards]
    try:
        done, _ = await asyncio.wait([main, *watching], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {main}:
            task.result()
        if main in done:
            main.result()
    finally:
        for task in (*watching, main):
            task.cancel()
        await asyncio.wait([main, *watching])
    _raise_rollback(main)


async def _until_crash(driver: LocalDriver) -> None:
    raise await driver.first_crash()


async def _until_load_dies(load: LoadProcess, session: Session) -> None:
    code = await load.wait()
    log = session.path / "logs-raw" / "load.log"
    msg = f"the load generator ended early (exit code {code})"
    raise HarnessError(msg, hint=f"its last words are in {log}")


async def _until_disk_full(session: Session) -> None:
    await session.disk_failed.wait()
    assert session.disk_error is not None
    raise _disk_error(session, session.disk_error)


def _disk_error(session: Session, error: OSError) -> HarnessError:
    return HarnessError(
        f"the recording cannot be written: {error.strerror or error}",
        hint=f"free some space at {session.path.parent}, or choose another folder with --runs",
    )


async def _drain(load: LoadProcess, plan: Plan) -> None:
    """Let requests that are under way end, and the ledgers be read."""
    flows = {flow for flows in plan.scenario.load.values() for flow in flows}
    limit_s = max(plan.target.flows[flow].timeout for flow in flows) + _DRAIN_MARGIN_S
    try:
        await asyncio.wait_for(asyncio.shield(_ended(load)), limit_s)
    except TimeoutError:
        msg = f"the load generator did not end within {limit_s:g}s after the last arrival"
        raise TargetError(msg) from None


async def _ended(load: LoadProcess) -> None:
    code = await load.wait()
    if code != 0:
        msg = f"the load generator failed (exit code {code})"
        raise HarnessError(msg, hint="its last words are in logs-raw/load.log of the recording")
