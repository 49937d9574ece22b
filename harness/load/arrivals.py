"""When requests are due: schedules that follow from the seed alone, so that no answer can slow them down.

Each flow of each tenant draws from a generator of its own. A surge adds arrivals and leaves those that were there.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from harness.model.run.clock import NS_PER_S
from harness.model.run.plan import Plan, fault_name


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """One tenant wants to start one flow, *due_ns* after the load starts. `number` is unique within its source."""

    due_ns: int
    tenant: str
    flow: str
    number: int
    surge: str = ""  # the fault that added this arrival; "" for the load as written

    @property
    def id(self) -> str:
        """Return what tells this arrival from all others of the run."""
        return f"{self.tenant}-{self.flow}-{self.surge}{'-' if self.surge else ''}{self.number}"


@dataclass(frozen=True, slots=True)
class Surge:
    """*tenant* sends *times* its share from *start_s* to *end_s* after the load starts; less than 1 is a lull."""

    fault: str
    tenant: str
    times: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Source:
    """One flow of one tenant, at *rate* arrivals a second for *duration_s*."""

    tenant: str
    flow: str
    rate: float
    duration_s: float
    seed: int
    constant: bool = False

    def random(self, *purpose: str) -> Random:
        """Return the generator that is this source's own, for one purpose."""
        return Random(repr((self.seed, self.tenant, self.flow, *purpose)))


def surges_of(plan: Plan) -> list[Surge]:
    """Return the faults of *plan* that are part of the load."""
    return [
        Surge(fault_name(n), fault.surge.tenant, fault.surge.times, *plan.fault_window_s(n))
        for n, fault in enumerate(plan.scenario.faults)
        if fault.surge and not plan.aa
    ]


def arrivals_of(plan: Plan) -> Iterator[Arrival]:
    """Yield all arrivals of a run in the order in which they are due; computed as they are asked for."""
    surges = surges_of(plan)
    constant = plan.scenario.arrivals == "constant"
    return heapq.merge(
        *(
            arrivals(Source(tenant, flow, rate, plan.phases.total_s, plan.seed, constant), surges)
            for tenant, flows in plan.scenario.load.items()
            for flow, rate in flows.items()
        )
    )


def arrivals(source: Source, surges: list[Surge]) -> Iterator[Arrival]:
    """Yield the arrivals of one source. A surge adds (times - 1) x rate, a lull keeps its share of what is due."""
    mine = [surge for surge in surges if surge.tenant == source.tenant]
    lulls = [(surge, source.random("lull", surge.fault)) for surge in mine if surge.times < 1]
    base = (a for a in _stream(source, source.rate, 0.0, source.duration_s, "") if _survives(a, lulls))
    extra = (_stream(source, source.rate * (s.times - 1), s.start_s, s.end_s, s.fault) for s in mine if s.times > 1)
    return heapq.merge(base, *extra)


def _stream(source: Source, rate: float, start_s: float, end_s: float, surge: str) -> Iterator[Arrival]:
    random = source.random("arrivals", surge)
    at_s = start_s + (random.random() / rate if source.constant else random.expovariate(rate))
    number = 0
    while at_s < end_s:
        yield Arrival(int(at_s * NS_PER_S), source.tenant, source.flow, number, surge)
        at_s += 1 / rate if source.constant else random.expovariate(rate)
        number += 1


def _survives(arrival: Arrival, lulls: list[tuple[Surge, Random]]) -> bool:
    inside = [(s, random) for s, random in lulls if s.start_s * NS_PER_S <= arrival.due_ns < s.end_s * NS_PER_S]
    return all(random.random() < surge.times for surge, random in inside)
