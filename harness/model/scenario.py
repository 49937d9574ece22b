"""`scenarios/*.yaml`: one claim each, with the load, the faults, the blast radius and the checks that decide it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AllowInfNan,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PositiveFloat,
    PositiveInt,
    model_validator,
)
from pydantic_core import core_schema

from harness.model.base import Spec
from harness.model.source import Source, did_you_mean, read_yaml, validate
from harness.model.target import Objective, Target
from harness.model.units import Bound, Duration, Share

Rate = Annotated[PositiveFloat, AllowInfNan(False)]


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


@dataclass(frozen=True, slots=True)
class _Shorthand:
    """Let `latency: 10s` stand for `latency: {latency: 10s}`, in the validator and in its JSON Schema."""

    field: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self._expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        long = handler(schema)
        return {"anyOf": [*long.pop("anyOf", [long]), {"type": ["string", "integer"]}]}

    def _expand(self, raw: Any) -> Any:
        return raw if raw is None or isinstance(raw, Mapping | Spec) else {self.field: raw}


class Latency(Spec):
    """Delay each chunk by latency +- jitter."""

    latency: Duration
    jitter: Duration = 0.0


class Bandwidth(Spec):
    """Limit each connection to *rate* kB (1000 bytes) a second; 0 holds everything."""

    rate: int = Field(ge=0)


class SlowClose(Spec):
    """Delay the closing of a connection."""

    delay: Duration


class Timeout(Spec):
    """Stop all data, and close after *timeout*; 0s never closes."""

    timeout: Duration


class ResetPeer(Spec):
    """Answer with RST after *timeout*."""

    timeout: Duration = 0.0


class Slicer(Spec):
    """Cut data into pieces of average_size +- size_variation bytes, *delay* apart."""

    average_size: PositiveInt
    size_variation: int = Field(default=0, ge=0)
    delay: Duration = 0.0


class LimitData(Spec):
    """Close the connection after *bytes* bytes."""

    bytes: int = Field(ge=0)


class Surge(Spec):
    """A tenant sends *times* its share of the load."""

    tenant: str
    times: Rate


TOXICS = ("latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data")


class Fault(Spec):
    """A perturbation with its place and time: either a link and what happens there, or a surge of one tenant."""

    link: str | None = None
    latency: Annotated[Latency | None, _Shorthand("latency")] = None
    bandwidth: Annotated[Bandwidth | None, _Shorthand("rate")] = None
    slow_close: Annotated[SlowClose | None, _Shorthand("delay")] = None
    timeout: Annotated[Timeout | None, _Shorthand("timeout")] = None
    reset_peer: Annotated[ResetPeer | None, _Shorthand("timeout")] = None
    slicer: Annotated[Slicer | None, _Shorthand("average_size")] = None
    limit_data: Annotated[LimitData | None, _Shorthand("bytes")] = None
    down: bool = Field(default=False, description="The link refuses connections.")
    toxicity: Share = Field(default=1.0, description="Share of the connections that are touched.")
    stream: Annotated[str, Field(pattern="^(upstream|downstream)$")] = Field(
        default="downstream", description="downstream: on the answers; upstream: on the requests."
    )
    surge: Surge | None = None
    start: Duration = Field(default=0.0, description="After the fault phase begins.")
    duration: Duration | None = Field(default=None, description="Without it: to the end of the fault phase.")

    @property
    def toxic(self) -> str | None:
        """Name of the toxic that is asked for, if any."""
        return next((name for name in TOXICS if getattr(self, name) is not None), None)

    @property
    def kind(self) -> str:
        """What happens: a toxic's name, "down" or "surge"."""
        return self.toxic or ("down" if self.down else "surge")

    @property
    def place(self) -> str:
        """Where it happens: the link, or the tenant that surges."""
        return self.link or (f"tenant {self.surge.tenant}" if self.surge else "?")

    @model_validator(mode="after")
    def _is_one_thing(self) -> "Fault":
        given = [name for name in (*TOXICS, "surge") if getattr(self, name) is not None] + (
            ["down"] if self.down else []
        )
        if len(given) != 1:
            kinds = ", ".join((*TOXICS, "down", "surge"))
            msg = f"a fault is exactly one of {kinds}; got {', '.join(given) or 'none'}"
            raise ValueError(msg)
        if (self.surge is None) == (self.link is None):
            msg = "a surge has no link" if self.surge else f"{given[0]} needs a link such as 'payments -> provider-a'"
            raise ValueError(msg)
        return self


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


class RetriesCheck(Spec):
    """Attempts per call over a link during the fault."""

    link: str
    amplification: Bound


class TraceCheck(Spec):
    """Traces are complete, and slow or failed ones point at the faulted link."""

    complete: Bound = Bound(">=", 0.99, "%")
    blames: str | None = None


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
)


class Severity(Enum):
    """What a failed check means for the verdict."""

    CRITICAL = "critical"
    WARNING = "warning"


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
    proves: dict[str, list[str]] = Field(
        default={}, description="Check that must fail -> protections whose absence it catches, switched off together."
    )


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
    ids = [entry.id for entry in scenario.checks] + ["blast_radius"]
    for check, protections in scenario.proves.items():
        _known(source, ("proves", check), "check", check, ids, key=True)
        for index, protection in enumerate(protections):
            _known(source, ("proves", check, index), "protection", protection, target.protections)


def _check_fault(source: Source, at: tuple[str | int, ...], fault: Fault, scenario: Scenario, target: Target) -> None:
    if fault.start >= scenario.phases.fault or fault.start + (fault.duration or 0) > scenario.phases.fault:
        raise source.error(at, f"it does not fit into the fault phase of {scenario.phases.fault:g}s")
    if fault.link:
        _known(source, (*at, "link"), "link", fault.link, target.links)
    if fault.surge:
        _known(source, (*at, "surge", "tenant"), "tenant", fault.surge.tenant, scenario.load)


def _check_check(source: Source, at: tuple[str | int, ...], spec: Any, scenario: Scenario, target: Target) -> None:
    loaded = {flow for flows in scenario.load.values() for flow in flows}
    for field, kind, known in (
        ("link", "link", target.links),
        ("blames", "link", target.links),
        ("flow", "flow", loaded),
        ("tenant", "tenant", scenario.load),
        ("ledger", "ledger", target.ledgers),
    ):
        if (word := getattr(spec, field, None)) is not None:
            _known(source, (*at, field), kind, word, known)
    for index, tenant in enumerate(getattr(spec, "tenants", [])):
        _known(source, (*at, "tenants", index), "tenant", tenant, scenario.load)


def _known(
    source: Source, location: tuple[str | int, ...], kind: str, word: str, known: Any, *, key: bool = False
) -> None:
    if word not in known:
        raise source.error(location, f"unknown {kind} {word!r}{did_you_mean(word, known)}", key=key)
