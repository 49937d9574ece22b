"""The end of the load generator: as planned, too early, or not at all."""

import asyncio
from typing import Protocol

from harness.model.errors import HarnessError, TargetError
from harness.model.run.clock import Clock
from harness.model.run.plan import Plan

_MARGIN_S = 15.0
"""How long after the last flow's timeout the load process may take to write its rows and to read the ledgers."""
_LOG_HINT = "its log is logs-raw/load.log in the recording"


class Load(Protocol):
    """A running load."""

    async def wait(self) -> int:
        """Wait until it has ended; return its exit code."""
        ...


async def until_load_dies(load: Load, *, planned_end_ns: int, clock: Clock) -> None:
    """Return once the load has ended as planned: with exit code 0, and not before its planned end.

    Raises:
        HarnessError: it ended in any other way.
    """
    code = await load.wait()
    if code == 0 and clock.now_ns() >= planned_end_ns:
        return
    when = "early" if code == 0 or clock.now_ns() < planned_end_ns else "badly"
    msg = f"the load generator ended {when} (exit code {code})"
    raise HarnessError(msg, hint=_LOG_HINT)


async def drain(load: Load, plan: Plan) -> None:
    """Let requests that are under way end, and the ledgers be read.

    Raises:
        HarnessError: the load did not end in time, or not with exit code 0.
    """
    limit_s = _limit_s(plan)
    try:
        code = await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(load.wait())), limit_s)
    except TimeoutError:
        msg = f"the load generator did not end within {limit_s:g}s after the last arrival"
        raise TargetError(msg) from None
    if code != 0:
        msg = f"the load generator failed (exit code {code})"
        raise HarnessError(msg, hint=_LOG_HINT)


def _limit_s(plan: Plan) -> float:
    flows = {flow for flows in plan.scenario.load.values() for flow in flows}
    ledgers = max((ledger.within for ledger in plan.target.ledgers.values()), default=0.0)
    return float(max(plan.target.flows[flow].timeout for flow in flows) + ledgers + _MARGIN_S)
