"""A plan: scenario and target, validated and fully resolved; all that a run needs to know before it starts."""

from datetime import UTC, datetime
from random import Random

from harness.model.base import Spec
from harness.model.files.scenario import Phase, Phases, Scenario
from harness.model.files.target import Target
from harness.model.run.calibration import Calibration
from harness.model.run.windows import PairOfWindows, draw_pairs


class Plan(Spec):
    """What will be run. It stands whole in run.json, so that a stored run can be judged and repeated."""

    name: str
    scenario: Scenario
    target: Target
    phases: Phases
    seed: int
    quick: bool = False
    without: list[str] = []
    calibration: Calibration | None = None
    aa: bool = False  # no fault is placed: a run that shows what the machine does by itself

    def offset_s(self, phase: Phase) -> float:
        """Return when *phase* starts, in seconds after the load does."""
        order = list(Phase)
        return sum(self.phases.seconds(before) for before in order[: order.index(phase)])

    def victims(self) -> frozenset[tuple[str, str]]:
        """Return (tenant, flow) pairs that the blast radius names."""
        return frozenset((tenant, flow) for tenant, flows in self.scenario.blast_radius.items() for flow in flows)

    def fault_window_s(self, number: int) -> tuple[float, float]:
        """Return start and end of fault *number* (from 0), repetitions included, in seconds after the load starts."""
        windows = self.fault_windows_s(number)
        return windows[0][0], windows[-1][1]

    def fault_windows_s(self, number: int) -> list[tuple[float, float]]:
        """Return start and end of each repetition of fault *number*, in seconds after the load starts.

        A fault ends with the fault phase at the latest. A start that is a range is drawn from the seed and the number.
        In an interleaved run every fault is there in the fault window of each pair.
        """
        if pairs := self.window_pairs_s():
            return [pair.fault for pair in pairs]
        fault = self.scenario.faults[number]
        begin = self.offset_s(Phase.FAULT)
        end = begin + self.phases.fault
        start = begin + fault.start.drawn(Random(f"{self.seed}/{number}").random())
        starts = [start]
        if fault.repeat is not None:
            starts = [start + fault.repeat.every * again for again in range(fault.repeat.times)]
        stops = [end if fault.duration is None else begun + fault.duration for begun in starts]
        windows = [(min(begun, end), min(stop, end)) for begun, stop in zip(starts, stops, strict=True)]
        return [window for window in windows if window[0] < end] or windows[:1]

    def is_repeated(self, number: int) -> bool:
        """Say whether fault *number* (from 0) comes more than once."""
        return self.scenario.faults[number].repeat is not None or self.scenario.design.interleaved is not None

    def window_pairs_s(self) -> list[PairOfWindows]:
        """Return the pairs of windows of an interleaved run, in order; none in a run of a single fault window."""
        design = self.scenario.design.interleaved
        if design is None:
            return []
        return draw_pairs(design, start_s=self.offset_s(Phase.FAULT), length_s=self.phases.fault, seed=self.seed)


def fault_name(number: int) -> str:
    """Return the name under which fault *number* (from 0) stands in events and in the proxy."""
    return f"fault-{number + 1}"


def run_id(scenario: str, started_ns: int) -> str:
    """Return the folder name of a run: sortable, unique to the millisecond."""
    moment = datetime.fromtimestamp(started_ns / 1e9, tz=UTC)
    return f"{moment:%Y%m%d-%H%M%S}-{started_ns // 1_000_000 % 1000:03d}-{scenario}"
