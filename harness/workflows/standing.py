"""A stack that stays up: `harness up` holds it in the foreground, `run --on` uses it, `harness down` ends it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.drivers.catalogue import driver_for
from harness.drivers.driver import Driver, Setting
from harness.drivers.ports import free_ports
from harness.drivers.standing.holder import Holder, Traces
from harness.drivers.standing.lock import is_in_use
from harness.drivers.standing.stack import FILE, StandingStack, read_stack
from harness.faults.safety.abort import abortable
from harness.faults.safety.registry import live_runs
from harness.faults.safety.safety import Safety
from harness.model.errors import UsageError
from harness.model.files.target import Protocol, Target
from harness.model.run.clock import SteadyClock
from harness.model.run.events import Event
from harness.model.run.plan import Plan, run_id
from harness.recording.files import make_run_folder
from harness.recording.writer import EventLog
from harness.runner.interruption import Interruption
from harness.units.identity import Identity

LEASE_S = 5.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a standing stack can be reached, and the name under which runs find it."""

    name: str
    entry: str
    proxy_api: str
    services: dict[str, str]
    folder: Path


# -- holding one -------------------------------------------------------------------------------------------------------


async def stand(
    target: Target,
    *,
    runs: Path,
    otlp: str | None,
    without: Sequence[str],
    listen: Callable[[Event], None],
    ready: Callable[[Addresses], None],
    interruption: Interruption,
) -> None:
    """Start *target*, call *ready*, and hold it until *interruption*; a service that dies ends it (TargetError)."""
    clock = SteadyClock()
    folder = (runs / run_id("up", clock.anchor_utc_ns)).absolute()
    make_run_folder(folder)
    log = EventLog(folder)

    def emit(event: Event) -> None:
        log.append(event)
        listen(event)

    safety = Safety(folder, run_id=folder.name, lease_s=LEASE_S, emit=emit, clock=clock)
    setting = Setting(
        run=folder,
        run_id=folder.name,
        seed=0,
        emit=emit,
        clock=clock,
        guard=safety,
        without=without,
        looked_into=_http_links(target),
        urgent=interruption.urgent,
    )
    driver = driver_for(target, setting)
    traces = _traces(driver, otlp)
    holder = Holder(target, driver, setting, traces=traces, holder=str(Identity.of(psutil.Process().pid)))
    try:
        await safety.start()
        await driver.start(otlp=traces.url)
        await holder.start()
        ready(Addresses(folder.name, driver.entry_url, driver.proxy_api, dict(driver.metrics_endpoints), folder))
        raise await driver.first_crash()
    except asyncio.CancelledError:
        if interruption.by is None:
            raise
    finally:
        await holder.stop()
        await driver.stop()
        await safety.dismiss()
        log.close()


def _http_links(target: Target) -> frozenset[str]:
    """Which faults a run will place is not known yet: every link that can be looked into is."""
    spoken = (Protocol.HTTP, Protocol.HTTPS)
    return frozenset(name for name, link in target.links.items() if link.speaks in spoken)


def _traces(driver: Driver, otlp: str | None) -> Traces:
    """Traces go where the user says; else to a port at which a run that uses the stack receives them."""
    if otlp is not None:
        return Traces(otlp, 0)
    host, _ = driver.listen_at
    (port,) = free_ports(host, ["otlp"]).values()
    return Traces(f"http://{host}:{port}", port)


# -- using one ---------------------------------------------------------------------------------------------------------


def stack_for(plan: Plan, named: str | None) -> StandingStack | None:
    """Return the standing stack that *plan* is to be run on; None without a name. UsageError where it does not fit."""
    if named is None:
        return None
    stack = find_stack(named)
    check_fits(plan, stack)
    return stack


def find_stack(named: str) -> StandingStack:
    """Return the standing stack of this name: its id, a part of that, or its folder.

    Raises:
        UsageError: none is up under that name, or several are.
    """
    up = [run for run in live_runs() if (Path(run.folder) / FILE).exists()]
    found = [run for run in up if named in run.run_id or str(Path(named).absolute()) == run.folder]
    if len(found) == 1:
        return read_stack(Path(found[0].folder))
    standing = ", ".join(run.run_id for run in up)
    what = f"--on {named}: {'several stacks are' if found else 'no stack is'} up under that name"
    hint = f"up: {standing}" if up else "`harness up` starts one"
    raise UsageError(what, hint=hint)


def check_fits(plan: Plan, stack: StandingStack) -> None:
    """See that the stack runs what *plan* is about.

    Raises:
        UsageError: another run uses it, a dead one may have left faults, or target or protections differ.
    """
    if is_in_use(stack.path):
        msg = f"another run uses the stack {stack.run_id}"
        raise UsageError(msg, hint="wait for its end; `harness abort` ends it at once")
    if dead := [run.run_id for run in abortable() if not run.harness_lives]:
        msg = f"faults of a run that is dead may still be in place: {', '.join(dead)}"
        raise UsageError(msg, hint="`harness recover` rolls them back")
    if plan.target != stack.target:
        msg = f"the stack {stack.run_id} does not run the target of this scenario as its file is now"
        raise UsageError(msg, hint=f"start one of {plan.target.name!r}: `harness up --target FILE`")
    if sorted(plan.without) != sorted(stack.without):
        has, asked = _protections(stack.without), _protections(plan.without)
        msg = f"the stack {stack.run_id} runs {has}, this run asks for {asked}"
        raise UsageError(msg, hint="protections are switched when a stack starts: `harness down`, then `harness up`")


def _protections(without: Sequence[str]) -> str:
    return f"without {', '.join(sorted(without))}" if without else "with all protections"
