"""One run as the report sees it: loaded and folded once, then asked by every part of the page."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pyarrow.compute as pc

from harness.evidence.requests import Pair, load_requests
from harness.model.files.scenario import Phase
from harness.model.result.finding import Window
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan
from harness.recording.columns import Table
from harness.recording.reader import Recording
from harness.report.axis import Axis, Extent, cut, extent_of
from harness.report.impact import Impact, TenantImpact, by_tenant, impact_of
from harness.report.requests import Folded, Ints, Requests, flatten, fold

_COARSE_BUCKETS = 75
_ENOUGH_SAMPLES = 8
_WIDEST_CHOICE_S = 5


@dataclass(frozen=True)
class Observed:
    """A recording, its axis and its requests; everything costly is computed once, when it is first asked for."""

    recording: Recording
    requests: Requests
    extent: Extent | None

    @property
    def plan(self) -> Plan:
        """What was run."""
        return self.recording.plan

    @cached_property
    def coarse(self) -> Axis | None:
        """The axis of the heat map: buckets wide enough to hold some samples of each pair."""
        if self.extent is None:
            return None
        rarest = np.bincount(self.requests.pair).min() if len(self.requests) else 0
        wanted_s = _ENOUGH_SAMPLES * self.extent.seconds / rarest if rarest else 1
        return cut(self.extent, at_most=_COARSE_BUCKETS, at_least_s=min(_WIDEST_CHOICE_S, math.ceil(wanted_s - 0.5)))

    @cached_property
    def folded(self) -> Folded | None:
        """Requests on the coarse axis."""
        return fold(self.requests, self.coarse) if self.coarse else None

    @cached_property
    def impact(self) -> Impact | None:
        """Impact of each pair on the coarse axis."""
        return impact_of(self.plan, self.folded) if self.folded else None

    @cached_property
    def tenant_impact(self) -> TenantImpact | None:
        """Impact of each tenant on the coarse axis."""
        return by_tenant(self.impact, self.requests.pairs) if self.impact else None

    @cached_property
    def tenants(self) -> tuple[str, ...]:
        """All tenants: the declared victims, then the others, the hardest hit first; else in the order of the plan."""
        planned = list(dict.fromkeys([*self.plan.scenario.load, *(pair.tenant for pair in self.requests.pairs)]))
        victims = set(self.plan.scenario.blast_radius)
        return tuple(sorted(planned, key=lambda tenant: (tenant not in victims, -self._marks(tenant))))

    @cached_property
    def flows(self) -> tuple[str, ...]:
        """All flows, those of the victims first."""
        victims = [flow for flows in self.plan.scenario.blast_radius.values() for flow in flows]
        return tuple(dict.fromkeys([*victims, *(pair.flow for pair in self.requests.pairs)]))

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs in the order in which they are shown."""
        return tuple(
            sorted(self.requests.pairs, key=lambda p: (self.tenants.index(p.tenant), self.flows.index(p.flow)))
        )

    def is_victim(self, pair: Pair) -> bool:
        """Say whether the scenario allows this pair to be hurt."""
        return pair.flow in self.plan.scenario.blast_radius.get(pair.tenant, {})

    def phase(self, phase: Phase) -> Requests:
        """Return the requests of one phase; none where the run has no phases."""
        window = self.recording.window(phase)
        return self.requests.within(window or Window(phase.value, 0, 0))

    def events(self, *kinds: Kind) -> list[Event]:
        """Return events in time order."""
        return self.recording.events_of(*kinds)

    @cached_property
    def fault_ns(self) -> tuple[int, int] | None:
        """When the first fault began and the last one ended: as it was done, else as planned; None without either."""
        window = self.recording.window(Phase.FAULT)
        if window is None:
            return None
        applied = [event.time_ns for event in self.events(Kind.FAULT_APPLIED)]
        planned = [self.plan.fault_window_s(number) for number in range(len(self.plan.scenario.faults))]
        offset_ns = window.start_ns - int(self.plan.offset_s(Phase.FAULT) * NS_PER_S)
        begin_ns, end_ns = (
            offset_ns + int(edge * NS_PER_S) for edge in (min(p[0] for p in planned), max(p[1] for p in planned))
        )
        undone = [event.time_ns for event in self.events(Kind.FAULT_UNDONE)]
        return min(applied, default=begin_ns), max([end_ns, *undone])

    @cached_property
    def retried_ns(self) -> Ints:
        """When each second and later attempt of a call started; from the events where there are no spans."""
        if self.recording.rows(Table.SPANS):
            again = self.recording.arrow(Table.SPANS, ("start",), where=pc.field("attempt") > 0)
            times: Ints = again["start"].to_numpy()
            return times
        scheduled = self.events(Kind.RETRY_SCHEDULED)
        return np.array([e.time_ns + int(e.number("delay_ms") * NS_PER_MS) for e in scheduled], dtype=np.int64)

    def _marks(self, tenant: str) -> int:
        folded = self.tenant_impact
        if folded is None or tenant not in folded.tenants:
            return 0
        return int(np.count_nonzero(folded.impact.marked[folded.tenants.index(tenant)]))


@lru_cache(maxsize=1)
def observe(recording: Recording) -> Observed:
    """Load and fold a recording; the last one is kept, because page and terminal ask one after the other."""
    requests = flatten(load_requests(recording))
    events = recording.events
    seen_ns = requests.seen_ns or ((events[0].time_ns, events[-1].time_ns) if events else None)
    return Observed(recording, requests, extent_of(recording.manifest.windows, seen_ns))
