"""Guardrails: a live look at what the load counts each second. The first one that trips ends the run, faults first.

They look at requests whose outcome is known: one that hangs is seen when its client gives up.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.model.errors import ExitCode, HarnessError
from harness.model.files.scenario import Guardrail, Phase
from harness.model.files.units import format_duration
from harness.model.run.clock import NS_PER_S, Clock
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan

MIN_REQUESTS = 5
"""A guardrail does not trip on fewer: one failed request of two is no harm worth ending a run for."""

Pair = tuple[str, str]
"""Tenant and flow."""


class GuardrailTrippedError(HarnessError):
    """A run was ended because those who should be spared were hurt too much."""

    exit_code = ExitCode.BROKEN


@dataclass(frozen=True, slots=True)
class Ended:
    """Requests of one tenant and flow whose outcome became known within one second."""

    bad: int
    latencies_ms: Sequence[float]


@dataclass(frozen=True, slots=True)
class Trip:
    """Which guardrail tripped, over whom, and by what."""

    guardrail: str
    tenant: str
    flow: str
    measure: str
    value: str
    bound: str
    samples: int


class Rail:
    """One guardrail over the last seconds of the fault phase."""

    def __init__(self, name: str, guardrail: Guardrail, pairs: frozenset[Pair]) -> None:
        self._name = name
        self._guardrail = guardrail
        self._pairs = pairs
        self._seconds: deque[Mapping[Pair, Ended]] = deque(maxlen=max(1, math.ceil(guardrail.over)))

    def pass_second(self, ended: Mapping[Pair, Ended]) -> Trip | None:
        """Take in one second; return what tripped, once as many were seen as it looks back."""
        self._seconds.append(ended)
        if len(self._seconds) < (self._seconds.maxlen or 1):
            return None
        return next(self._trips(), None)

    def _trips(self) -> Iterator[Trip]:
        for tenant, flow in sorted(self._pairs):
            seconds = [second[tenant, flow] for second in self._seconds if (tenant, flow) in second]
            latencies_ms = sorted(latency for second in seconds for latency in second.latencies_ms)
            if len(latencies_ms) < MIN_REQUESTS:
                continue
            errors = sum(second.bad for second in seconds) / len(latencies_ms)
            p95_ms = latencies_ms[math.ceil(0.95 * len(latencies_ms)) - 1]
            for measure, value in (("errors", errors), ("p95", p95_ms)):
                bound = self._guardrail.errors if measure == "errors" else self._guardrail.p95
                if bound is not None and bound.holds(value):
                    shown = bound.show(value)
                    yield Trip(self._name, tenant, flow, measure, shown, str(bound), len(latencies_ms))


class Guardrails:
    """All guardrails of *plan*, whose load started at *start_ns*; `hear` gets the load's message of each second."""

    def __init__(self, plan: Plan, *, start_ns: int, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._rails = [
            Rail(guardrail_name(number, guardrail), guardrail, pairs_of(guardrail, plan))
            for number, guardrail in enumerate(plan.scenario.guardrails)
        ]
        begin_s = plan.offset_s(Phase.FAULT)
        self._begin_ns = start_ns + int((begin_s + 1.0) * NS_PER_S)  # the first whole second of the phase ends then
        self._end_ns = start_ns + int((begin_s + plan.phases.fault) * NS_PER_S)
        self._clock = clock
        self._emit = emit
        self._tripped: asyncio.Future[Trip] = asyncio.get_running_loop().create_future()

    def hear(self, progress: Mapping[str, Any]) -> None:
        """Take in a second of the load; outside the fault phase, and after the first trip, nothing happens."""
        now_ns = self._clock.now_ns()
        if not self._begin_ns <= now_ns <= self._end_ns or self._tripped.done():
            return
        ended = {(flow["tenant"], flow["flow"]): Ended(flow["bad"], flow["latencies_ms"]) for flow in _flows(progress)}
        for rail in self._rails:
            if (trip := rail.pass_second(ended)) and not self._tripped.done():
                self._emit(Event(now_ns, Kind.GUARDRAIL_TRIPPED, {name: getattr(trip, name) for name in _FIELDS}))
                self._tripped.set_result(trip)

    async def until_tripped(self) -> None:
        """Raise GuardrailTrippedError when the first one trips; never return."""
        trip = await self._tripped
        seen = f"{trip.tenant} {trip.flow}: {trip.measure} {trip.value} of {trip.samples} requests"
        msg = f"{trip.guardrail} tripped: {seen}"
        raise GuardrailTrippedError(msg, hint="the faults were taken back at once; the report shows who was hurt")


_FIELDS = ("guardrail", "tenant", "flow", "measure", "value", "bound", "samples")


def guardrail_name(number: int, guardrail: Guardrail) -> str:
    """Return how guardrail *number* (from 0) is called: "guardrail 1 (errors > 20% over 3s)"."""
    bounds = [f"{name} {bound}" for name in ("errors", "p95") if (bound := getattr(guardrail, name)) is not None]
    return f"guardrail {number + 1} ({' or '.join(bounds)} over {format_duration(guardrail.over)})"


def pairs_of(guardrail: Guardrail, plan: Plan) -> frozenset[Pair]:
    """Return whom it watches: the tenants named, else everybody outside the blast radius."""
    loaded = {(tenant, flow) for tenant, flows in plan.scenario.load.items() for flow in flows}
    spared = {pair for pair in loaded if pair[0] in guardrail.tenants} if guardrail.tenants else loaded - plan.victims()
    return frozenset(pair for pair in spared if guardrail.flow in (None, pair[1]))


def _flows(progress: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    flows: Sequence[Mapping[str, Any]] = progress.get("flows", ())
    return flows
