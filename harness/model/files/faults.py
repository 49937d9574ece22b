"""`faults:` of a scenario: what is perturbed, where, for whom and when. One entry is exactly one kind of fault."""

from collections.abc import Mapping
from dataclasses import dataclass
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
from harness.model.files.units import Duration, Moment, Share, Shift, Size

Rate = Annotated[PositiveFloat, AllowInfNan(False)]
On = Annotated[bool, Field(json_schema_extra={"const": True})]


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


# -- on a link, for every connection -----------------------------------------------------------------------------------


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


# -- on a link, for single requests ------------------------------------------------------------------------------------


class Scope(Spec):
    """Which requests on a link are touched: those that match every part that is given."""

    tenant: str | None = None
    method: str | None = None
    route: str | None = Field(default=None, description='Path, "*" for any part of it: "/orders/*".')
    header: dict[str, str] = {}
    share: Share | None = Field(default=None, description="Of the requests that match the rest; drawn from the seed.")
    next: PositiveInt | None = Field(default=None, description="So many requests that match the rest, then no more.")
    trace: Annotated[str | None, Field(pattern="^[0-9a-f]{32}$")] = None


class Delay(Spec):
    """Hold each request for a time drawn from *distribution*: mean *latency*, spread *jitter*."""

    latency: Duration
    jitter: Duration = 0.0
    distribution: Annotated[str, Field(pattern="^(fixed|uniform|normal|pareto)$")] = "fixed"

    @model_validator(mode="after")
    def _has_a_spread(self) -> "Delay":
        if self.distribution == "fixed" and self.jitter:
            msg = "jitter needs a distribution: uniform, normal or pareto"
            raise ValueError(msg)
        return self


class Answer(Spec):
    """Answer in the callee's place."""

    status: int = Field(ge=200, le=599)
    headers: dict[str, str] = {}
    body: str = ""


class Truncate(Spec):
    """Cut the answer's body after so many bytes, then close."""

    bytes: int = Field(ge=0)


class Corrupt(Spec):
    """Flip so many bytes of the answer's body."""

    bytes: PositiveInt


class SlowBody(Spec):
    """Send the answer's body at so many bytes a second."""

    rate: PositiveInt


class NullField(Spec):
    """Set a field of the JSON answer to null."""

    path: Annotated[str, Field(min_length=1)]


# -- on a process, a database, a broker, a flag ------------------------------------------------------------------------


class CpuHog(Spec):
    """Busy processes beside the service."""

    workers: PositiveInt = 1


class MemoryCeiling(Spec):
    """The service's processes can have no more address space than this."""

    limit: Size


class DescriptorCeiling(Spec):
    """The service's processes can have no more open files and sockets than this."""

    limit: PositiveInt


class ClockShift(Spec):
    """The service's clock is off by this much."""

    shift: Shift


class DropIndex(Spec):
    """An index is gone."""

    index: Annotated[str, Field(min_length=1)]


class LockTable(Spec):
    """A session of ours holds an exclusive lock on a table."""

    table: Annotated[str, Field(min_length=1)]


class TerminateBackends(Spec):
    """Every connection to the database is ended, every so often."""

    every: Duration


class Poison(Spec):
    """A message that its consumers cannot digest."""

    subject: Annotated[str, Field(min_length=1)]
    body: str = "{"
    headers: dict[str, str] = {}
    count: PositiveInt = 1


class FlagFlip(Spec):
    """A feature flag has another value, for everybody or for one tenant."""

    name: Annotated[str, Field(min_length=1)]
    value: bool | int | float | str
    tenant: str | None = None


class Surge(Spec):
    """A tenant sends *times* its share of the load."""

    tenant: str
    times: Rate


class Repeat(Spec):
    """Again every *every*, *times* times in all."""

    every: Duration
    times: PositiveInt


TOXICS = ("latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data")
HTTP_KINDS = (
    "delay",
    "answer",
    "hang",
    "reset_request",
    "lose_reply",
    "truncate",
    "corrupt",
    "slow_body",
    "null_field",
    "duplicate",
)
KERNEL_KINDS = ("packet_loss", "kernel_rate")
PROCESS_KINDS = ("kill", "pause", "restart", "cpu_hog", "memory_ceiling", "descriptor_ceiling", "clock_shift")
DATABASE_KINDS = ("drop_index", "lock_table", "exhaust_connections", "terminate_backends", "disk_full")
BROKER_KINDS = ("poison",)
LINK_KINDS = (*TOXICS, *HTTP_KINDS, "down", *KERNEL_KINDS)
SERVICE_KINDS = (*PROCESS_KINDS, *DATABASE_KINDS, *BROKER_KINDS)
KINDS = (*LINK_KINDS, *SERVICE_KINDS, "flag", "surge")

RAMPED = frozenset({"latency", "delay", "bandwidth"})


class Fault(Spec):
    """A perturbation with its place and its time: what happens to a link, a service, a flag, or a tenant's load."""

    link: str | None = None
    service: str | None = None
    scope: Scope | None = Field(default=None, description="Which requests on the link; without it all of them.")

    latency: Annotated[Latency | None, _Shorthand("latency")] = None
    bandwidth: Annotated[Bandwidth | None, _Shorthand("rate")] = None
    slow_close: Annotated[SlowClose | None, _Shorthand("delay")] = None
    timeout: Annotated[Timeout | None, _Shorthand("timeout")] = None
    reset_peer: Annotated[ResetPeer | None, _Shorthand("timeout")] = None
    slicer: Annotated[Slicer | None, _Shorthand("average_size")] = None
    limit_data: Annotated[LimitData | None, _Shorthand("bytes")] = None
    down: bool = Field(default=False, description="The link refuses connections.")
    toxicity: Share = Field(default=1.0, description="Share of the connections that a toxic touches.")
    stream: Annotated[str, Field(pattern="^(upstream|downstream)$")] = Field(
        default="downstream", description="downstream: on the answers; upstream: on the requests."
    )

    delay: Annotated[Delay | None, _Shorthand("latency")] = None
    answer: Answer | None = None
    hang: bool = Field(default=False, description="The request is never answered.")
    reset_request: bool = Field(default=False, description="RST before the callee sees the request.")
    lose_reply: bool = Field(default=False, description="The callee does its work, the caller gets RST.")
    truncate: Annotated[Truncate | None, _Shorthand("bytes")] = None
    corrupt: Annotated[Corrupt | None, _Shorthand("bytes")] = None
    slow_body: Annotated[SlowBody | None, _Shorthand("rate")] = None
    null_field: Annotated[NullField | None, _Shorthand("path")] = None
    duplicate: bool = Field(default=False, description="The request is sent twice, the first answer returned.")

    packet_loss: Share | None = Field(default=None, description="The kernel drops so many packets of the link.")
    kernel_rate: PositiveInt | None = Field(default=None, description="The kernel passes so many kB a second.")

    kill: bool = Field(default=False, description="SIGKILL.")
    pause: bool = Field(default=False, description="SIGSTOP of the whole process group.")
    restart: bool = Field(default=False, description="SIGTERM; whoever supervises the service starts it again.")
    cpu_hog: Annotated[CpuHog | None, _Shorthand("workers")] = None
    memory_ceiling: Annotated[MemoryCeiling | None, _Shorthand("limit")] = None
    descriptor_ceiling: Annotated[DescriptorCeiling | None, _Shorthand("limit")] = None
    clock_shift: Annotated[ClockShift | None, _Shorthand("shift")] = None

    drop_index: Annotated[DropIndex | None, _Shorthand("index")] = None
    lock_table: Annotated[LockTable | None, _Shorthand("table")] = None
    exhaust_connections: bool = Field(default=False, description="No connection to the database is free.")
    terminate_backends: Annotated[TerminateBackends | None, _Shorthand("every")] = None
    disk_full: bool = Field(default=False, description="The database cannot write any more.")

    poison: Annotated[Poison | None, _Shorthand("subject")] = None
    flag: FlagFlip | None = None
    surge: Surge | None = None

    start: Moment = Field(
        default=Moment(0.0, 0.0), description='After the fault phase begins; "1s..6s" is drawn from the seed.'
    )
    duration: Duration | None = Field(default=None, description="Without it: to the end of the fault phase.")
    ramp: Duration = Field(default=0.0, description="Latency, delay and bandwidth get there in so long.")
    repeat: Repeat | None = None

    @property
    def given(self) -> list[str]:
        """The kinds that are asked for; a valid fault has exactly one."""
        return [name for name in KINDS if (value := getattr(self, name)) is not None and value is not False]

    @property
    def toxic(self) -> str | None:
        """Name of the toxic that is asked for, if any; a latency with a scope is a delay of requests instead."""
        return next((name for name in TOXICS if self.scope is None and getattr(self, name) is not None), None)

    @property
    def kind(self) -> str:
        """What happens: one of KINDS."""
        (kind,) = self.given
        return "delay" if kind == "latency" and self.scope is not None else kind

    @property
    def request_delay(self) -> Delay | None:
        """How long requests are held, whichever way it was written."""
        if self.latency is not None and self.scope is not None:
            spread = "uniform" if self.latency.jitter else "fixed"
            return Delay.model_construct(latency=self.latency.latency, jitter=self.latency.jitter, distribution=spread)
        return self.delay

    @property
    def place(self) -> str:
        """Where it happens: the link, the service, the flag, or the tenant that surges."""
        if self.flag is not None:
            return f"flag {self.flag.name}"
        return self.link or self.service or (f"tenant {self.surge.tenant}" if self.surge else "?")

    @property
    def shortest_s(self) -> float:
        """How long all its repetitions take from its start, as far as they are given."""
        again_s = self.repeat.every * (self.repeat.times - 1) if self.repeat else 0.0
        return again_s + (self.duration or 0.0)

    @model_validator(mode="after")
    def _is_one_thing(self) -> "Fault":
        if len(self.given) != 1:
            msg = f"a fault is exactly one of {', '.join(KINDS)}; got {', '.join(self.given) or 'none'}"
            raise ValueError(msg)
        (kind,) = self.given
        self._is_somewhere(kind)
        self._scope_fits(kind)
        self._times_fit(kind)
        return self

    def _is_somewhere(self, kind: str) -> None:
        wanted = "link" if kind in LINK_KINDS else "service" if kind in SERVICE_KINDS else None
        examples = {"link": "payments -> provider-a", "service": "orders"}
        for place in examples:
            if (getattr(self, place) is not None) == (place == wanted):
                continue
            msg = (
                f"{kind} needs a {place} such as {examples[place]!r}" if place == wanted else f"a {kind} has no {place}"
            )
            raise ValueError(msg)

    def _scope_fits(self, kind: str) -> None:
        if self.scope is not None and kind not in (*HTTP_KINDS, "latency"):
            msg = f"{kind} touches whole connections: a scope goes with latency, {', '.join(HTTP_KINDS)}"
            raise ValueError(msg)

    def _times_fit(self, kind: str) -> None:
        if self.ramp and kind not in RAMPED:
            msg = f"{kind} has no ramp; {', '.join(sorted(RAMPED))} have"
            raise ValueError(msg)
        if self.repeat is None:
            return
        if kind == "surge":
            msg = "a surge is not repeated; write several"
            raise ValueError(msg)
        if not self.duration or self.duration >= self.repeat.every:
            msg = "a repeated fault needs a duration shorter than `every`"
            raise ValueError(msg)
