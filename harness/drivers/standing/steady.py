"""Is a standing stack fit for a run: every service ready, no fault left in it?"""

import asyncio
from collections.abc import Iterator

import aiohttp

from harness.drivers import postgres_server
from harness.drivers.family import unit_below
from harness.drivers.fault_proxy import faults_in
from harness.drivers.local.recipe import ask_ready
from harness.drivers.readiness import Ask, ask_database
from harness.drivers.standing.stack import StandingStack
from harness.model.errors import TargetError
from harness.model.files.target import ServiceKind

_READY_LIMIT_S = 5.0
_POLL_S = 0.2


async def check_steady(stack: StandingStack) -> None:
    """Return once the stack is ready and free of faults.

    Raises:
        TargetError: a fault is in place, or a service is not ready within some seconds.
    """
    if left := [*await faults_in(stack.proxy_api), *_paused(stack)]:
        msg = f"the stack {stack.run_id} is not free of faults: {'; '.join(left)}"
        raise TargetError(msg, hint="`harness abort` ends what another run did; `harness recover` what a dead one left")
    async with aiohttp.ClientSession(trust_env=False) as client:
        names = [name for name in stack.target.services if name in stack.pids]
        answers = await asyncio.gather(*(_until_ready(_ask(stack, name, client)) for name in names))
    if ill := [f"{name}: {answer}" for name, answer in zip(names, answers, strict=True) if answer]:
        msg = f"the stack {stack.run_id} is not in its steady state: {'; '.join(ill)}"
        raise TargetError(msg, hint=f"its logs are in {stack.path / 'logs-raw'}; `harness down`, then `harness up`")


def _paused(stack: StandingStack) -> Iterator[str]:
    for name, pid in stack.pids.items():
        supervised = name in stack.target.services and stack.target.services[name].supervised
        unit = unit_below(pid, supervised=supervised)
        if unit is not None and (paused := unit.paused()):
            yield f"{name} is paused ({unit.noun} {', '.join(paused)})"


async def _until_ready(ask: Ask) -> str:
    """Ask again and again; return the last answer, "" once it is ready."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + _READY_LIMIT_S
    while True:
        answer = await ask()
        if not answer or loop.time() > give_up_s:
            return answer
        await asyncio.sleep(_POLL_S)


def _ask(stack: StandingStack, name: str, client: aiohttp.ClientSession) -> Ask:
    here, spec = stack.addresses, stack.target.services[name]
    if spec.kind is ServiceKind.POSTGRES:
        return ask_database(lambda: postgres_server.is_serving(here.host, here.port(name), spec.database or ""))
    return ask_ready(stack.target, here, name, client)
