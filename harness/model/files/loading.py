"""Loading a scenario or a target for a run: the file, its names, its bounds, and whether the claim can fail at all.

Stored recordings are read without any of this: what was run can always be judged again.
"""

from collections.abc import Iterator
from pathlib import Path

from harness.model.errors import UsageError
from harness.model.files.falsifiable import why_it_cannot_fail
from harness.model.files.fault_kinds.row import Option
from harness.model.files.measures import problems
from harness.model.files.scenario import Phase, Scenario, load_scenario
from harness.model.files.source import Source, read_yaml
from harness.model.files.target import Target, load_target
from harness.model.files.units import format_duration

Location = tuple[str | int, ...]


def load_sound_target(path: Path) -> Target:
    """Read a target file; UsageError with positions where a name, a bound or a duration makes no sense."""
    target = load_target(path)
    _raise(read_yaml(path), list(problems(target)))
    return target


def load_sound_scenario(path: Path, target: Target) -> Scenario:
    """Read a scenario; UsageError with positions where it makes no sense, or could not fail."""
    scenario = load_scenario(path, target)
    found = [*problems(scenario), *_blanks(scenario), *_times(scenario), *_windows(scenario)]
    _raise(read_yaml(path), found or why_it_cannot_fail(scenario, target))
    return scenario


def _raise(source: Source, found: list[tuple[Location, str]]) -> None:
    if found:
        raise UsageError("\n".join(f"{source.where(at)}: {problem}" for at, problem in found))


def _blanks(scenario: Scenario) -> Iterator[tuple[Location, str]]:
    """Whoever may be hurt may be hurt in a stated way."""
    for tenant, flows in scenario.blast_radius.items():
        for flow, allowed in flows.items():
            if not allowed.measures() and allowed.slowdown is None:
                yield (
                    ("blast_radius", tenant, flow),
                    f"how far may {tenant} {flow} be hurt? State errors, p95 or slowdown",
                )
    for index, entry in enumerate(scenario.checks):
        spec = entry.objective
        if spec is not None and not spec.measures() and spec.slowdown is None:
            yield ("checks", index, "objective"), "an objective states a bound: errors, p50, p95, p99 or slowdown"
    for flow in scenario.leak.flows:
        if not any(flow in flows for flows in scenario.load.values()):
            yield ("leak", "flows", flow), f"no tenant has load on {flow}"


def _times(scenario: Scenario) -> Iterator[tuple[Location, str]]:
    """What is looked at lies within the run, and leaves some of its phase to look at."""
    recovery_s, whole_s = scenario.phases.seconds(Phase.RECOVERY), scenario.phases.total_s
    for index, entry in enumerate(scenario.checks):
        at = ("checks", index, entry.kind)
        if entry.recovery and entry.recovery.within >= recovery_s:
            yield (*at, "within"), _too_long("within", entry.recovery.within, "the recovery phase", recovery_s)
        if entry.breaker:
            there_s = _fault_s(scenario, entry.breaker.link)
            if entry.breaker.opens_within >= there_s:
                yield (*at, "opens_within"), _too_long("opens_within", entry.breaker.opens_within, "the fault", there_s)
            if entry.breaker.closes_within >= recovery_s:
                told = _too_long("closes_within", entry.breaker.closes_within, "the recovery phase", recovery_s)
                yield (*at, "closes_within"), told
        if entry.metric and entry.metric.after >= scenario.phases.seconds(entry.metric.phase):
            length_s = scenario.phases.seconds(entry.metric.phase)
            yield (
                (*at, "after"),
                _too_long("after", entry.metric.after, f"the {entry.metric.phase.value} phase", length_s),
            )
    for index, guardrail in enumerate(scenario.guardrails):
        if guardrail.over >= whole_s:
            yield ("guardrails", index, "over"), _too_long("over", guardrail.over, "the run", whole_s)


def _windows(scenario: Scenario) -> Iterator[tuple[Location, str]]:
    """The windows of an interleaved design fit into the fault phase, and the faults follow them."""
    design = scenario.design.interleaved
    if design is None:
        return
    if scenario.phases.fault < design.shortest_s:
        needs, has = format_duration(design.shortest_s), format_duration(scenario.phases.fault)
        told = f"{design.pairs} pairs of windows of {format_duration(design.window)} need a fault phase of {needs}"
        yield ("design", "interleaved"), f"{told}; it has {has}"
    for index, fault in enumerate(scenario.faults):
        at = ("faults", index)
        for name in ("start", "duration", "repeat"):
            if name in fault.model_fields_set and getattr(fault, name) is not None:
                yield (*at, name), f"{name}: an interleaved design says when the faults are there"
        if Option.REPEAT not in fault.declared.options:
            yield at, f"a {fault.kind} is not repeated: it does not go with an interleaved design"
        if fault.ramp >= design.window:
            yield (*at, "ramp"), _too_long("ramp", fault.ramp, "a window", design.window)


def _too_long(name: str, seconds: float, what: str, length_s: float) -> str:
    return f"{name}: {format_duration(seconds)} is no shorter than {what}, {format_duration(length_s)}"


def _fault_s(scenario: Scenario, link: str) -> float:
    """Return how long the fault on *link* is there at most; the fault phase if none is on it."""
    if scenario.design.interleaved:
        return scenario.design.interleaved.window
    faults = [fault for fault in scenario.faults if fault.link == link and fault.repeat is None]
    left = [scenario.phases.fault - fault.start.latest_s for fault in faults]
    longest = [min(rest, fault.duration or rest) for rest, fault in zip(left, faults, strict=True)]
    return max(longest, default=scenario.phases.fault)
