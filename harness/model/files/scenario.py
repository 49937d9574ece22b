"""`scenarios/*.yaml`: one claim each, with the load, the faults, the blast radius and the checks that decide it."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveInt, model_validator

from harness.model.base import Spec
from harness.model.files.fault_kinds.row import Place
from harness.model.files.faults import Fault, Rate
from harness.model.files.leaks import LeakLevels
from harness.model.files.metric_units import UNITS, unit_factor
from harness.model.files.source import Source, did_you_mean, read_yaml, validate
from harness.model.files.target import Objective, Protocol, ServiceKind, Target
from harness.model.files.units import Bound, Duration, Share


class Phase(Enum):
    """The windows of one run, in their order."""

    WARMUP = "warmup"
    BASELINE = "baseline"
    FAULT = "fault"
    RECOVERY = "recovery"


class Phases(Spec):
    """How long each window is."""

    warmup: Duration = 4.0
    baseline: Duration = 16.0
    fault: Duration = 20.0
    recovery: Duration = 16.0

    @model_validator(mode="after")
    def _can_be_judged(self) -> "Phases":
        for phase in (Phase.BASELINE, Phase.FAULT, Phase.RECOVERY):
            if self.seconds(phase) < 1:
                msg = f"{phase.value} must last at least 1s: there would be nothing to judge"
                raise ValueError(msg)
        return self

    def seconds(self, phase: Phase) -> float:
        """Return the length of *phase*."""
        return float(getattr(self, phase.value))

    @property
    def total_s(self) -> float:
        """Length of the whole run under load."""
        return sum(self.seconds(phase) for phase in Phase)


QUICK = Phases.model_validate({"warmup": "2s", "baseline": "6s", "fault": "8s", "recovery": "6s"})
"""What --quick takes unless the scenario says otherwise; never longer than the scenario's own phases."""


class Severity(Enum):
    """What a failed check means for the verdict, and who hears of it."""

    CRITICAL = "critical"
    WARNING = "warning"

    @property
    def queue(self) -> str:
        """Where a failed finding goes: somebody is paged for a critical one, the rest is reviewed in the morning."""
        return "page" if self is Severity.CRITICAL else "review"


class ObjectiveCheck(Objective):
    """A flow keeps its bounds for the tenants named (all without a list) in one phase."""

    flow: str
    tenants: list[str] = []
    phase: Phase = Phase.FAULT


class BreakerCheck(Spec):
    """The breaker of a link opens under the fault, answers at once while open, and closes after it."""

    link: str
    opens_within: Duration
    closes_within: Duration
    refuses_within: Duration = Field(
        default=0.3, description="Half of the victims' requests are answered this fast once it is open."
    )


class BulkheadCheck(Spec):
    """Calls over a link never exceed the limit, and other flows through the caller keep their objectives."""

    link: str
    limit: PositiveInt | None = Field(
        default=None,
        description="Most calls under way at once; without it the caller's metric resilience_bulkhead_limit.",
    )
    others_unharmed: bool = True


class Backoff(Spec):
    """Pauses between attempts: full jitter below a ceiling that doubles."""

    first: Duration = Field(description="The ceiling before the second attempt.")
    longest: Duration = Field(description="Where the ceiling stops to grow.")


class RetriesCheck(Spec):
    """Attempts per call over a link during the fault, and the pauses between them."""

    link: str
    amplification: Bound
    backoff: Backoff | None = None


class TraceCheck(Spec):
    """Traces are complete, and slow or failed ones point at the faulted link."""

    complete: Bound = Bound(">=", 0.99, "%")
    blames: str | None = None
    errors_name_it: Bound | None = Field(
        default=None, description="Share of the error answers that name the trace of their own request."
    )


class RecoveryCheck(Spec):
    """Every tenant and flow is back within its objectives so soon after the fault ends."""

    within: Duration


class DeadlineCheck(Spec):
    """A flow answers, well or badly, within its deadline."""

    flow: str
    within: Duration
    share: Share = Field(default=0.99, description="Of the requests in the fault phase.")
    tenants: list[str] = []


class RefusalsCheck(Spec):
    """A tenant's surplus is refused at the door (429 or 503 with Retry-After), quickly."""

    tenant: str
    share: Bound
    within: Duration = 0.5


class IntegrityCheck(Spec):
    """Every acknowledged write is there, once; no refused one is."""

    ledger: str


class IsolationCheck(Spec):
    """No answer held another tenant's data. Every run gets it, asked or not."""


class ImpactCheck(Spec):
    """A flow's p95 under the fault, as a multiple of its baseline."""

    flow: str
    p95: Bound
    tenants: list[str] = []


class MetricCheck(Spec):
    """One of the target's own metrics keeps a bound in one phase."""

    name: str
    service: str | None = None
    labels: dict[str, str] = {}
    measure: Annotated[str, Field(pattern="^(increase|max|min|last)$")] = "increase"
    bound: Bound
    unit: Annotated[str, Field(pattern=f"^({'|'.join(UNITS)})$")] | None = Field(
        default=None, description="Unit of the metric, where its name does not end with it (`_seconds`, `_ratio` …)."
    )
    phase: Phase = Phase.FAULT
    after: Duration = Field(default=0.0, description="Looked at from so long after the phase began.")
    because: str = Field(default="", description="What it means when the bound is broken.")


class CouplingCheck(Spec):
    """How tightly services hang together, by the traces of the baseline; synchronous calls between services."""

    depth: Bound | None = None
    fan_out: Bound | None = None
    chattiness: Bound | None = None
    shared_stores: Bound | None = Bound("<=", 0, "")


class SourceThreshold(Spec):
    """How far one source may be off, and what it means when it is."""

    tolerance: Share = 0.02
    severity: Severity = Severity.CRITICAL


class SignalsCheck(Spec):
    """Logs, metrics and traces of a service count the requests that its clients sent."""

    service: str
    metrics: SourceThreshold = SourceThreshold()
    traces: SourceThreshold = SourceThreshold()
    logs: SourceThreshold = SourceThreshold()
    metric: str = "http_server_requests_total"
    log: str = Field(default="request", description="How each line of the access log begins.")


CHECKS = (
    "objective",
    "breaker",
    "bulkhead",
    "retries",
    "trace",
    "recovery",
    "deadline",
    "refusals",
    "integrity",
    "isolation",
    "impact",
    "metric",
    "coupling",
    "signals",
)


class CheckSpec(Spec):
    """One entry of `checks:`: exactly one check, and optionally a name and a severity."""

    objective: ObjectiveCheck | None = None
    breaker: BreakerCheck | None = None
    bulkhead: BulkheadCheck | None = None
    retries: RetriesCheck | None = None
    trace: TraceCheck | None = None
    recovery: RecoveryCheck | None = None
    deadline: DeadlineCheck | None = None
    refusals: RefusalsCheck | None = None
    integrity: IntegrityCheck | None = None
    isolation: IsolationCheck | None = None
    impact: ImpactCheck | None = None
    metric: MetricCheck | None = None
    coupling: CouplingCheck | None = None
    signals: SignalsCheck | None = None
    name: str | None = Field(
        default=None, description="How findings and `proves` call it; without it the kind of check."
    )
    severity: Severity = Severity.CRITICAL

    @model_validator(mode="after")
    def _is_one_check(self) -> "CheckSpec":
        given = [name for name in CHECKS if getattr(self, name) is not None]
        if len(given) != 1:
            msg = f"an entry is exactly one of {', '.join(CHECKS)}; got {', '.join(given) or 'none'}"
            raise ValueError(msg)
        return self

    @property
    def kind(self) -> str:
        """Which check it is."""
        return next(name for name in CHECKS if getattr(self, name) is not None)

    @property
    def id(self) -> str:
        """How findings call it."""
        return self.name or self.kind

    @property
    def spec(self) -> Spec:
        """The check's own parameters."""
        spec: Spec = getattr(self, self.kind)
        return spec


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
        ("ledger", "ledger", target.ledgers),
        ("service", "service", target.services),
    ):
        if (word := getattr(spec, field, None)) is not None:
            _known(source, (*at, field), kind, word, known)
    for index, tenant in enumerate(getattr(spec, "tenants", [])):
        _known(source, (*at, "tenants", index), "tenant", tenant, scenario.load)
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
