"""`scenarios/*.yaml`: one claim each, with the load, the faults, the blast radius and the checks that decide it."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from harness.model.base import Spec
from harness.model.files.check_kinds.on_calls import (
    Backoff,
    BreakerCheck,
    BulkheadCheck,
    CouplingCheck,
    RetriesCheck,
    TraceCheck,
)
from harness.model.files.check_kinds.on_data import (
    IntegrityCheck,
    IsolationCheck,
    MetricCheck,
    SignalsCheck,
    SourceThreshold,
)
from harness.model.files.check_kinds.on_requests import (
    DeadlineCheck,
    ImpactCheck,
    ObjectiveCheck,
    RecoveryCheck,
    RefusalsCheck,
)
from harness.model.files.checks import CHECKS, CheckSpec
from harness.model.files.design import Design
from harness.model.files.fault_kinds.row import Place
from harness.model.files.faults import Fault, Rate
from harness.model.files.leaks import LeakLevels
from harness.model.files.metric_units import unit_factor
from harness.model.files.phases import QUICK, Phase, Phases
from harness.model.files.severity import Severity
from harness.model.files.source import Source, did_you_mean, read_yaml, validate
from harness.model.files.target import Objective, Protocol, ServiceKind, Target
from harness.model.files.units import Bound, Duration

__all__ = [
    "CHECKS",
    "QUICK",
    "Backoff",
    "BreakerCheck",
    "BulkheadCheck",
    "CheckSpec",
    "CouplingCheck",
    "DeadlineCheck",
    "Guardrail",
    "ImpactCheck",
    "IntegrityCheck",
    "IsolationCheck",
    "MetricCheck",
    "ObjectiveCheck",
    "Phase",
    "Phases",
    "RecoveryCheck",
    "RefusalsCheck",
    "RetriesCheck",
    "Scenario",
    "Severity",
    "SignalsCheck",
    "SourceThreshold",
    "TraceCheck",
    "load_scenario",
    "read_scenario_head",
]


class Guardrail(Spec):
    """Stops the run early, faults first, when those who should be spared are hurt this much for so long."""

    tenants: list[str] = Field(default=[], description="Without a list: everybody outside the blast radius.")
    flow: str | None = Field(default=None, description="Without one: every flow by itself.")
    errors: Bound | None = Field(default=None, description='Trips it: "> 20%".')
    p95: Bound | None = Field(default=None, description='Trips it: "> 2s".')
    over: Duration = Field(default=3.0, description="The last so many seconds are looked at.")

    @model_validator(mode="after")
    def _says_when(self) -> "Guardrail":
        if self.errors is None and self.p95 is None:
            msg = "a guardrail says when it trips: errors, p95 or both"
            raise ValueError(msg)
        for bound in (self.errors, self.p95):
            if bound is not None and bound.is_upper:
                msg = f"a guardrail trips above a bound such as '> 20%', got '{bound}'"
                raise ValueError(msg)
        return self


class Scenario(Spec):
    """A claim and how it is put to the test."""

    claim: str = Field(min_length=10)
    tags: list[str] = []
    target: str | None = Field(
        default=None, description="Path of the target file, relative to this one; the sample stack without it."
    )
    load: dict[str, dict[str, Rate]] = Field(min_length=1, description="Arrivals a second: tenant -> flow -> rate.")
    arrivals: Annotated[str, Field(pattern="^(poisson|constant)$")] = "poisson"
    phases: Phases = Phases()
    quick: Phases = QUICK
    design: Design = Field(
        default=Design(), description="single: one fault window; interleaved: random pairs of windows with and without."
    )
    faults: list[Fault] = Field(min_length=1)
    blast_radius: dict[str, dict[str, Objective]] = Field(
        default={}, description="Who may be hurt, and how far: tenant -> flow -> bounds."
    )
    checks: list[CheckSpec] = []
    leak: LeakLevels = Field(default=LeakLevels(), description="Overrides the target's leak levels.")
    guardrails: list[Guardrail] = Field(default=[], description="When to stop before more harm is done.")
    proves: dict[str, list[str | list[str]]] = Field(
        default={},
        description="Check that must fail -> protections whose absence it catches, switched off together; "
        "a list within the list is a further set, switched off by itself.",
    )

    @property
    def proofs(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return each check with a set of protections without which it must fail."""
        found = []
        for check, entries in self.proves.items():
            together = tuple(entry for entry in entries if isinstance(entry, str))
            further = [tuple(entry) for entry in entries if isinstance(entry, list)]
            found += [(check, names) for names in (together, *further) if names]
        return found


def load_scenario(path: Path, target: Target) -> Scenario:
    """Read a scenario and check every name in it against *target*; UsageError with positions."""
    source = read_yaml(path)
    scenario = validate(source, Scenario)
    _check_names(source, scenario, target)
    return scenario


def read_scenario_head(path: Path) -> Scenario:
    """Read a scenario without its target; names are not checked yet."""
    return validate(read_yaml(path), Scenario)


def _check_names(source: Source, scenario: Scenario, target: Target) -> None:
    for tables, top in ((scenario.load, "load"), (scenario.blast_radius, "blast_radius")):
        for tenant, flows in tables.items():
            _known(source, (top, tenant), "tenant", tenant, target.tenants, key=True)
            for flow in flows:
                _known(source, (top, tenant, flow), "flow", flow, target.flows, key=True)
                if flow not in scenario.load.get(tenant, {}):
                    raise source.error(
                        (top, tenant, flow), f"{tenant} has no load on {flow}: nothing could be judged", key=True
                    )
    for index, fault in enumerate(scenario.faults):
        _check_fault(source, ("faults", index), fault, scenario, target)
    for index, entry in enumerate(scenario.checks):
        _check_check(source, ("checks", index, entry.kind), entry.spec, scenario, target)
    for index, guardrail in enumerate(scenario.guardrails):
        _check_check(source, ("guardrails", index), guardrail, scenario, target)
    ids = [entry.id for entry in scenario.checks] + ["blast_radius"]
    for check, sets in scenario.proves.items():
        _known(source, ("proves", check), "check", check, ids, key=True)
        for index, names in enumerate(sets):
            place: tuple[str | int, ...] = ("proves", check, index)
            if isinstance(names, str):
                _known(source, place, "protection", names, target.protections)
            else:
                for inner, name in enumerate(names):
                    _known(source, (*place, inner), "protection", name, target.protections)


def _check_fault(source: Source, at: tuple[str | int, ...], fault: Fault, scenario: Scenario, target: Target) -> None:
    longest_s = fault.start.latest_s + fault.shortest_s
    if fault.start.latest_s >= scenario.phases.fault or longest_s > scenario.phases.fault:
        raise source.error(at, f"it does not fit into the fault phase of {scenario.phases.fault:g}s")
    if fault.link:
        _known(source, (*at, "link"), "link", fault.link, target.links)
        _speaks_http(source, at, fault, target)
    if fault.service:
        _known(source, (*at, "service"), "service", fault.service, target.services)
        kind = target.services[fault.service].kind
        if fault.declared.place is Place.DATABASE and kind is not ServiceKind.POSTGRES:
            raise source.error((*at, "service"), f"{fault.kind} needs a database, and {fault.service} is none")
    if fault.surge:
        _known(source, (*at, "surge", "tenant"), "tenant", fault.surge.tenant, scenario.load)
    for part, tenant in (("scope", fault.scope and fault.scope.tenant), ("flag", fault.flag and fault.flag.tenant)):
        if tenant:
            _known(source, (*at, part, "tenant"), "tenant", tenant, target.tenants)
    if fault.flag and target.flags is None:
        raise source.error((*at, "flag"), "the target does not say how its flags are set: give it `flags:`")


def _speaks_http(source: Source, at: tuple[str | int, ...], fault: Fault, target: Target) -> None:
    assert fault.link is not None
    protocol = target.links[fault.link].speaks
    if fault.declared.place is Place.REQUEST and protocol not in (Protocol.HTTP, Protocol.HTTPS):
        raise source.error(
            (*at, "link"), f"{fault.kind} looks at single HTTP requests, and this link speaks {protocol.value}"
        )


def _check_check(source: Source, at: tuple[str | int, ...], spec: Any, scenario: Scenario, target: Target) -> None:
    loaded = {flow for flows in scenario.load.values() for flow in flows}
    for field, kind, known in (
        ("link", "link", target.links),
        ("blames", "link", target.links),
        ("flow", "flow", loaded),
        ("tenant", "tenant", scenario.load),
        ("reference", "tenant", scenario.load),
        ("ledger", "ledger", target.ledgers),
        ("service", "service", target.services),
    ):
        if (word := getattr(spec, field, None)) is not None:
            _known(source, (*at, field), kind, word, known)
    for index, tenant in enumerate(getattr(spec, "tenants", [])):
        _known(source, (*at, "tenants", index), "tenant", tenant, scenario.load)
    for index, flow in enumerate(getattr(spec, "flows", [])):
        _known(source, (*at, "flows", index), "flow", flow, loaded)
    if isinstance(spec, MetricCheck):
        _unit_fits(source, at, spec)


def _unit_fits(source: Source, at: tuple[str | int, ...], spec: MetricCheck) -> None:
    try:
        unit_factor(spec.name, spec.bound, spec.unit)
    except ValueError as error:
        raise source.error((*at, "bound"), str(error)) from None


def _known(
    source: Source, location: tuple[str | int, ...], kind: str, word: str, known: Any, *, key: bool = False
) -> None:
    if word not in known:
        raise source.error(location, f"unknown {kind} {word!r}{did_you_mean(word, known)}", key=key)
