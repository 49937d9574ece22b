"""A scenario that cannot fail is no test: what holds whatever happens, and whom nobody loads.

Read by `plan` and `run` with positions, and by the judge, who never lets such a recording pass.
"""

from collections.abc import Iterator

from harness.model.files.scenario import (
    CheckSpec,
    CouplingCheck,
    DeadlineCheck,
    MetricCheck,
    ObjectiveCheck,
    RefusalsCheck,
    Scenario,
    Severity,
    SignalsCheck,
    TraceCheck,
)
from harness.model.files.target import Target
from harness.model.files.units import Bound

Location = tuple[str | int, ...]
Problem = tuple[Location, str]


def why_it_cannot_fail(scenario: Scenario, target: Target) -> list[Problem]:
    """Return why no outcome of a run could fail the claim, each with its place; empty where one could."""
    return [*_without_load(scenario), *_nothing_false(scenario, target)]


def _without_load(scenario: Scenario) -> Iterator[Problem]:
    """Everybody whom the claim names must be loaded."""
    loaded = {tenant: flows for tenant, flows in scenario.load.items() if flows}
    for tenant in scenario.load:
        if tenant not in loaded:
            yield ("load", tenant), f"{tenant} has no load: nothing about it can fail"
    for tenant, flows in scenario.blast_radius.items():
        missing = [flow for flow in flows if flow not in loaded.get(tenant, {})]
        if missing or not flows:
            told = ", ".join(missing) or "any flow"
            yield ("blast_radius", tenant), f"{tenant} is in the blast radius without load on {told}"
    for index, fault in enumerate(scenario.faults):
        tenant_ = fault.scope.tenant if fault.scope else None
        if tenant_ and tenant_ not in loaded:
            yield ("faults", index, "scope", "tenant"), f"the fault is for {tenant_} alone, which has no load"
    for index, entry in enumerate(scenario.checks):
        yield from _check_without_load(entry, ("checks", index, entry.kind), loaded)


def _check_without_load(entry: CheckSpec, at: Location, loaded: dict[str, dict[str, float]]) -> Iterator[Problem]:
    flow = getattr(entry.spec, "flow", None)
    named = list(getattr(entry.spec, "tenants", []))
    if isinstance(entry.spec, RefusalsCheck):
        named.append(entry.spec.tenant)
    for tenant in named:
        if tenant not in loaded or (flow and flow not in loaded[tenant]):
            yield at, f"the check names {tenant}, which has no load{f' on {flow}' if flow else ''}"


def _nothing_false(scenario: Scenario, target: Target) -> Iterator[Problem]:
    if scenario.checks and all(entry.severity is Severity.WARNING for entry in scenario.checks):
        reason = "every check is a warning, and warnings do not count: make one of them critical"
        yield ("checks", 0, "severity"), f"this scenario cannot fail: {reason}"
        return
    critical = [entry for entry in scenario.checks if entry.severity is Severity.CRITICAL]
    if any(not always_holds(entry, target) for entry in critical):
        return
    if critical:
        reason = f"{critical[0].id} holds whatever happens, and no other check is asked for"
        yield ("checks", scenario.checks.index(critical[0]), critical[0].kind), f"this scenario cannot fail: {reason}"
    elif (first := _everything_is_allowed(scenario, target)) is not None:
        reason = "everybody may be hurt without a limit, no check is asked for, and no bound could ever be false"
        yield ("blast_radius", *first), f"this scenario cannot fail: {reason}"


def _everything_is_allowed(scenario: Scenario, target: Target) -> tuple[str, str] | None:
    """Return the first of the victims, if everybody is one and none of them has a bound that could be broken."""
    pairs = [(tenant, flow) for tenant, flows in scenario.load.items() for flow in flows]
    for tenant, flow in pairs:
        allowed = scenario.blast_radius.get(tenant, {}).get(flow)
        if allowed is None or allowed.errors is None:
            return None
        if not all(bound_always_holds(n, b, flow, target) for n, b in allowed.measures().items()) or allowed.slowdown:
            return None
    return pairs[0] if pairs else None


def bound_always_holds(measure: str, bound: Bound, flow: str, target: Target) -> bool:
    """Say whether *bound* holds whatever happens: all may fail, or take as long as the client waits."""
    if measure == "errors":
        return (bound.is_upper and bound.limit >= 1 and bound.op != "<") or (not bound.is_upper and bound.limit <= 0)
    timeout_ms = target.flows[flow].timeout * 1000 if flow in target.flows else float("inf")
    return (bound.is_upper and bound.limit >= timeout_ms) or (not bound.is_upper and bound.limit <= 0)


def always_holds(entry: CheckSpec, target: Target) -> bool:
    """Say whether no recording could fail this check."""
    spec = entry.spec
    match spec:
        case ObjectiveCheck():
            measures = spec.measures()
            return not spec.slowdown and all(bound_always_holds(n, b, spec.flow, target) for n, b in measures.items())
        case TraceCheck():
            bounds = [bound for bound in (spec.complete, spec.errors_name_it) if bound is not None]
            return spec.blames is None and all(_is_nothing(bound) for bound in bounds)
        case DeadlineCheck():
            return spec.share <= 0
        case MetricCheck():
            return _is_nothing(spec.bound) and spec.measure == "increase"
        case CouplingCheck():
            return all(bound is None for bound in (spec.depth, spec.fan_out, spec.chattiness, spec.shared_stores))
        case SignalsCheck():
            return all(s.tolerance >= 1 for s in (spec.metrics, spec.traces, spec.logs))
        case _:
            return False


def _is_nothing(bound: Bound) -> bool:
    return bound.op == ">=" and bound.limit <= 0
