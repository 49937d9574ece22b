"""One run from a plan to a finished recording. Nothing is judged here.

    stack up -> load at T0 -> warmup | baseline | fault | recovery -> load drains -> stack down -> manifest closed

Every step registers its undo before it acts, on an exit stack that unwinds whatever happens. Behind it stands the
reaper, which does the same from outside should this process die.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.drivers.catalogue import driver_for
from harness.drivers.driver import Driver, Setting
from harness.drivers.standing.stack import StandingStack
from harness.faults.safety.safety import Safety
from harness.faults.schedule import FaultSchedule
from harness.load.job import ClockAnchor, LoadJob
from harness.load.process import LoadProcess
from harness.model.errors import HarnessError
from harness.model.files.fault_kinds.row import Place
from harness.model.result.finding import How
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Kind
from harness.model.run.plan import Plan
from harness.recording.traceback_file import unforeseen
from harness.runner.guardrails import Guardrails, GuardrailTrippedError
from harness.runner.interruption import Interruption
from harness.runner.load_end import drain, until_load_dies
from harness.runner.phases import disk_error, end_ns, guarded, until_crash, until_disk_full, walk_phases
from harness.runner.session import Listener, Session
from harness.telemetry.host import HostSampler
from harness.telemetry.logs import LogsSoFar, collect_logs
from harness.telemetry.otlp import OtlpReceiver
from harness.telemetry.scrape import Scraper

LEASE_S = 5.0
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)
_LOAD_HEAD_START_S = 2.0  # Locust's import and the tokens take about half of it

ProgressListener = Callable[[Mapping[str, Any]], None]


def nothing_to_show(_progress: Mapping[str, Any]) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run left: its folder, how it ended, and the error to show if it failed."""

    path: Path
    how: How
    error: HarnessError | None


async def run_plan(
    plan: Plan,
    *,
    runs: Path,
    command: Sequence[str],
    listeners: Sequence[Listener] = (),
    on_progress: ProgressListener = nothing_to_show,
    interruption: Interruption | None = None,
    on: StandingStack | None = None,
    share: bool = False,
) -> Ran:
    """Run *plan* and leave a recording, however it ends; *on* a standing stack, or on one of its own.

    What nobody foresaw ends the run as failed, after everything was rolled back, with its traceback in the recording.
    With *share* other users may read it.

    Signals are the caller's: who turns them into an *interruption* gets a run that ends as interrupted. Cancelling
    without one rolls back and closes the recording as well, and goes on as CancelledError.

    Raises:
        HarnessError: the run's folder cannot be made.
    """
    session = _open(plan, runs=runs, command=command, listeners=listeners, share=share)
    interruption = interruption or Interruption()
    interruption.on_change(lambda sentence: session.note(Kind.NOTE, text=sentence))
    try:
        error = await _attempt(_Run(session, interruption, on_progress, on))
    except BaseException as end:  # a cancellation that no signal asked for, SystemExit: it goes on, the run is over
        session.close(*_ended_by(end))
        raise
    if error is None and session.disk_error is not None:
        error = disk_error(session, session.disk_error)
    was_stopped = interruption.by or isinstance(error, GuardrailTrippedError)
    how = How.INTERRUPTED if was_stopped else How.FAILED if error else How.COMPLETED
    session.close(how, interruption.by or (str(error) if error else None))
    return Ran(session.path, how, error)


def _open(plan: Plan, *, runs: Path, command: Sequence[str], listeners: Sequence[Listener], share: bool) -> Session:
    try:
        return Session(plan, runs=runs, command=command, listeners=listeners, share=share)
    except OSError as problem:
        msg = f"cannot write a recording below {runs}: {problem.strerror or problem}"
        raise HarnessError(msg, hint="free some space, or choose another folder with --runs") from None


def _ended_by(end: BaseException) -> tuple[How, str]:
    """Return how a run ended that was ended from outside."""
    if isinstance(end, asyncio.CancelledError | KeyboardInterrupt):
        return How.INTERRUPTED, "cancelled"
    return How.FAILED, f"ended by {type(end).__name__}"


async def _attempt(run: "_Run") -> HarnessError | None:
    """Run; return what went wrong. An interruption is not an error."""
    try:
        await run.go()
    except asyncio.CancelledError:
        if run.interruption.by is None:
            raise
    except HarnessError as error:
        return error
    except OSError as error:
        if error.errno in _DISK_ERRORS or not run.session.path.is_dir():
            return disk_error(run.session, error)
        return unforeseen(error, folder=run.session.path, doing="the run")
    except Exception as error:  # noqa: BLE001  a bug of ours: the run is closed as failed
        return unforeseen(error, folder=run.session.path, doing="the run")
    return None


class _Run:
    """One run: its parts are started one after another, each with its undo on the exit stack before it."""

    def __init__(
        self, session: Session, interruption: Interruption, on_progress: ProgressListener, on: StandingStack | None
    ) -> None:
        self.session = session
        self.interruption = interruption
        self._on_progress = on_progress
        self._on = on
        self._safety = Safety(session.path, run_id=session.id, lease_s=LEASE_S, emit=session.emit, clock=session.clock)

    async def go(self) -> None:
        """Do everything from the stack's start to its end."""
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._safety.dismiss)
            await self._safety.start()
            driver = await self._start_stack(undo)
            await self._watch(undo, driver)
            await self._put_under_load(undo, driver)

    async def _start_stack(self, undo: AsyncExitStack) -> Driver:
        session, driver = self.session, self._driver()
        undo.callback(collect_logs, session.path, LogsSoFar.of(driver.logs))
        otlp = OtlpReceiver(session.path, emit=session.emit, clock=session.clock, at=driver.listen_at)
        undo.push_async_callback(otlp.stop)
        otlp_url = await otlp.start()
        undo.push_async_callback(driver.stop)
        began_ns = session.clock.now_ns()
        await driver.start(otlp=otlp_url)
        session.note(Kind.STACK_STARTED, seconds=round((session.clock.now_ns() - began_ns) / NS_PER_S, 2))
        return driver

    def _driver(self) -> Driver:
        session = self.session
        setting = Setting(
            run=session.path,
            run_id=session.id,
            seed=session.plan.seed,
            emit=session.emit,
            clock=session.clock,
            guard=self._safety,
            without=session.plan.without,
            looked_into=_links_looked_into(session.plan),
            urgent=self.interruption.urgent,
        )
        return driver_for(session.plan.target, setting, on=self._on)

    async def _watch(self, undo: AsyncExitStack, driver: Driver) -> None:
        path, clock = self.session.path, self.session.clock
        scraper = Scraper(path, driver.metrics_endpoints, clock)
        undo.push_async_callback(scraper.stop)
        await scraper.start()
        host = HostSampler(path, clock, pids=lambda: driver.pids)
        undo.push_async_callback(host.stop)
        await host.start()

    async def _put_under_load(self, undo: AsyncExitStack, driver: Driver) -> None:
        session, plan, clock = self.session, self.session.plan, self.session.clock
        start_ns = clock.now_ns() + int(_LOAD_HEAD_START_S * NS_PER_S)
        guardrails = Guardrails(plan, start_ns=start_ns, clock=clock, emit=session.emit)
        load = await self._start_load(driver, start_ns, guardrails)
        undo.push_async_callback(load.stop)
        session.set_load_start(start_ns)
        schedule = FaultSchedule(
            plan, start_ns=start_ns, driver=driver, emit=session.emit, clock=clock, safety=self._safety
        )
        guards = (
            until_crash(driver),
            until_load_dies(load, planned_end_ns=end_ns(session, start_ns), clock=clock),
            until_disk_full(session),
            guardrails.until_tripped(),
        )
        await guarded(walk_phases(session, schedule, start_ns), guards)
        await drain(load, plan)

    async def _start_load(self, driver: Driver, start_ns: int, guardrails: Guardrails) -> LoadProcess:
        def register(pid: int) -> None:
            self._safety.process(pid, "load")

        def hear(progress: Mapping[str, Any]) -> None:
            self._on_progress(progress)
            guardrails.hear(progress)

        return await LoadProcess.start(
            _load_job(self.session, driver, start_ns),
            emit=self.session.emit,
            on_progress=hear,
            env={**os.environ, **self._safety.marker},
            register=register,
        )


def _links_looked_into(plan: Plan) -> frozenset[str]:
    """Only where a fault is about single requests: everywhere else the bytes pass as they are, at less cost."""
    faults = plan.scenario.faults
    return frozenset(f.link for f in faults if f.link is not None and f.declared.place is Place.REQUEST)


def _load_job(session: Session, driver: Driver, start_ns: int) -> LoadJob:
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
