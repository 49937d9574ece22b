"""A plan: scenario and target, validated and fully resolved; all that a run needs to know before it starts."""

from datetime import UTC, datetime

from harness.model.base import Spec
from harness.model.scenario import Phase, Phases, Scenario
from harness.model.target import Target


class Plan(Spec):
    """What will be run. It stands whole in run.json, so that a stored run can be judged and repeated."""

    name: str
    scenario: Scenario
    target: Target
    phases: Phases
    seed: int
    quick: bool = False
    without: list[str] = []

    def offset_s(self, phase: Phase) -> float:
        """Return when *phase* starts, in seconds after the load does."""
        order = list(Phase)
        return sum(self.phases.seconds(before) for before in order[: order.index(phase)])

    def victims(self) -> frozenset[tuple[str, str]]:
        """Return (tenant, flow) pairs that the blast radius names."""
        return frozenset((tenant, flow) for tenant, flows in self.scenario.blast_radius.items() for flow in flows)

    def fault_window_s(self, number: int) -> tuple[float, float]:
        """Return start and end of fault *number* (from 0), in seconds after the load starts.

        A fault ends with the fault phase at the latest.
        """
        fault = self.scenario.faults[number]
        begin = self.offset_s(Phase.FAULT)
        end = begin + self.phases.fault
        start = min(begin + fault.start, end)
        return start, end if fault.duration is None else min(start + fault.duration, end)


def fault_name(number: int) -> str:
    """Return the name under which fault *number* (from 0) stands in events and in the proxy."""
    return f"fault-{number + 1}"


def run_id(scenario: str, started_ns: int) -> str:
    """Return the folder name of a run: sortable, unique to the millisecond."""
    moment = datetime.fromtimestamp(started_ns / 1e9, tz=UTC)
    return f"{moment:%Y%m%d-%H%M%S}-{started_ns // 1_000_000 % 1000:03d}-{scenario}"
