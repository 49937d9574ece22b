"""`target.yaml`: the system under test, described so that a stack that nobody here wrote fits it without code."""

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from harness.model.base import Spec
from harness.model.files.leaks import LeakLevels
from harness.model.files.source import Source, did_you_mean, read_yaml, validate
from harness.model.files.units import Bound, Duration

_LINK = re.compile(r"(?P<caller>[\w.-]+) -> (?P<callee>[\w.-]+)")


class Deployment(Enum):
    """How a target is run. What its services *are* does not depend on it."""

    LOCAL = "local"  # processes of this machine, started by the harness
    COMPOSE = "compose"
    EXTERNAL = "external"
    KUBERNETES = "kubernetes"


class ServiceKind(Enum):
    """What a service is."""

    COMMAND = "command"
    POSTGRES = "postgres"


class Protocol(Enum):
    """What is spoken on a link."""

    HTTP = "http"
    HTTPS = "https"
    POSTGRES = "postgres"
    TCP = "tcp"


_PROTOCOLS = {"http": Protocol.HTTP, "https": Protocol.HTTPS, "postgresql": Protocol.POSTGRES}
READY_TCP = "tcp"


class Service(Spec):
    """One process of the target."""

    kind: ServiceKind = ServiceKind.COMMAND
    command: list[str] = Field(
        default=[], description="Program and arguments; {python} is the harness' own interpreter."
    )
    env: dict[str, str] = Field(default={}, description="Environment of this service; {port}, {host}, … are filled in.")
    ports: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]] = Field(
        default=[], description="Further ports, filled in as {port.NAME}."
    )
    ready: str = Field(
        default="/health/ready",
        description='Path that answers 200 once the service can serve; "NAME:/path" asks another port, "tcp" connects.',
    )
    metrics: str | None = Field(
        default="/metrics", description='Path of Prometheus metrics, or "NAME:/path"; null where there are none.'
    )
    supervised: bool = Field(
        default=False, description="The command is a supervisor: the service is what it started, and will start again."
    )
    database: str | None = Field(
        default=None, description="For kind postgres: the database, and the role that owns it."
    )
    third_party: bool = Field(default=False, description="A simulator of somebody else's system.")

    @model_validator(mode="after")
    def _fits_together(self) -> "Service":
        if self.kind is ServiceKind.POSTGRES and not self.database:
            msg = "a service of kind postgres needs the name of its database"
            raise ValueError(msg)
        for port, _ in (split_port(self.ready), split_port(self.metrics or "")):
            if port and port not in self.ports:
                msg = f"port {port!r} is none of its ports{did_you_mean(port, self.ports)}"
                raise ValueError(msg)
        return self


def split_port(place: str) -> tuple[str, str]:
    """Return the port's name, "" for the main one, and the path of "admin:/metrics"."""
    port, colon, path = place.partition(":")
    return (port, path) if colon and path.startswith("/") else ("", place)


class Link(Spec):
    """How a caller finds a callee; the driver puts the fault proxy's address there."""

    env: str = Field(description="Environment variable of the caller.")
    value: str = Field(default="http://{address}", description="Its value; {address} is host:port of the link.")
    protocol: Protocol | None = Field(default=None, description="Without it: as the value begins.")

    @property
    def speaks(self) -> Protocol:
        """The protocol, as given or as the value shows."""
        return self.protocol or _PROTOCOLS.get(self.value.partition("://")[0], Protocol.TCP)


class Tenant(Spec):
    """A customer of the target; further keys are the target's own and reach placeholders as {tenant.key}."""

    model_config = {**Spec.model_config, "extra": "allow"}

    plan: str = "standard"


class Step(Spec):
    """One HTTP request of a flow.

    Placeholders in path, headers and body: {tenant}, {tenant.KEY}, {token}, {run_started} (UTC ns), {number:1-200},
    {choice:a,b} and {key}, which is unique to one arrival of the flow.
    """

    name: str
    service: str | None = Field(default=None, description="Sent straight to this service instead of the entry.")
    identity: str | None = Field(
        default=None, description="Whose identity the client presents, for a step straight to a service."
    )
    plain: bool = Field(default=False, description="Plain HTTP, straight at a service that expects TLS.")
    method: str = "GET"
    path: str
    headers: dict[str, str] = {}
    body: Any = None
    expect: int | list[int] | Literal["refused"] = Field(
        default=200,
        description="The status, or several, that mean success; refused: the connection or the TLS handshake fails.",
    )
    watermark: str | None = Field(
        default=None, description='Where the answer names its tenant: "tenant", "orders[].tenant".'
    )
    content: Literal["json"] | None = Field(
        default=None, description="What the answer's body must be; an HTML page with the right status is no success."
    )
    contains: str | None = Field(default=None, description="Text that the body of a successful answer must hold.")
    ledger: "LedgerEntry | None" = Field(
        default=None, description="This step is a write whose acknowledgement is a promise."
    )


class LedgerEntry(Spec):
    """Which ledger a write belongs to, and by which key it is found again."""

    name: str
    key: str


class Flow(Spec):
    """A named user journey."""

    steps: list[Step] = Field(min_length=1)
    timeout: Duration = Field(
        default=5.0, description="The client gives up on a step after this long; the outcome is then unknown."
    )


class Ledger(Spec):
    """How to ask the target, at the end, for everything that it holds."""

    of: str | None = Field(
        default=None, description="Another ledger whose acknowledged writes must each be found here once, too."
    )
    within: Duration = Field(default=0.0, description="Asked again for so long while acknowledged writes are missing.")
    path: str
    keys: str = Field(description='Where the answer lists the keys: "orders[].idempotency_key".')
    cursor: str | None = Field(default=None, description="Where the answer names the next page.")
    watermark: str | None = None


class TokenRequest(Spec):
    """How a tenant gets its token."""

    method: str = "POST"
    path: str
    headers: dict[str, str] = {}
    body: Any = None
    expect: int = 200


class Token(Spec):
    """Credentials of the load: asked once a tenant, and again at two thirds of their lifetime."""

    request: TokenRequest
    value: str = "access_token"
    lifetime: str | None = "expires_in"
    header: dict[str, str] = {"Authorization": "Bearer {token}"}


class Objective(Spec):
    """What a tenant was promised for a flow."""

    errors: Bound | None = Field(default=None, description="Share of the requests without a good answer.")
    p50: Bound | None = Field(default=None, description="Median latency.")
    p95: Bound | None = Field(default=None, description="95th percentile of the latency.")
    p99: Bound | None = Field(default=None, description="99th percentile of the latency.")
    slowdown: Bound | None = Field(
        default=None, description='p50 and p95 as a multiple of the same tenant\'s baseline: "<= 1.5x".'
    )

    def measures(self) -> dict[str, Bound]:
        """Return the absolute bounds that are given, by measure."""
        return {name: bound for name in ("errors", "p50", "p95", "p99") if (bound := getattr(self, name)) is not None}


class Defaults(Spec):
    """What is promised where nothing else is stated."""

    errors: Bound = Bound("<", 0.01, "%")
    slowdown: Bound = Bound("<=", 1.5, "x")
    unnoticed: Duration = Field(
        default=0.01, description="Nobody notices that an answer takes this much longer than in the baseline."
    )
    recovery: Duration = Field(default=10.0, description="Victims are within their objectives again after this long.")


class Off(Spec):
    """How a protection is switched off when the target starts."""

    env: dict[str, str] = Field(
        description="Set for the protection's service; values of several protections are joined by commas."
    )


class Protection(Spec):
    """A resilience mechanism that the target declares."""

    kind: str
    service: str
    guards: list[str] = Field(default=[], description="Links that it protects.")
    off: Off


class Proofs(Spec):
    """What makes the services honour the off switches."""

    env: dict[str, str] = {}


class FlagCall(Spec):
    """How a flag is set."""

    method: str = "PUT"
    path: str
    headers: dict[str, str] = {}
    body: Any = Field(
        default={"value": "{value}", "tenant": "{tenant}"}, description="{value} and {tenant} keep their type."
    )


class Flags(Spec):
    """How feature flags are read and set, straight at the service that holds them; {flag} is the flag's name."""

    service: str
    read: str = Field(default="/flags/{flag}", description='Path that answers with the flag; "NAME:/path" for a port.')
    value: str = Field(default="value", description="Where that answer holds the value.")
    write: FlagCall


class Target(Spec):
    """The system under test."""

    name: str
    description: str = ""
    deployment: Deployment = Field(
        default=Deployment.LOCAL, description="How the services are run; local: as processes of this machine."
    )
    entry: str = Field(description="The service that flows and tokens are sent to.")
    proofs: Proofs = Proofs()
    environment: dict[str, str] = {}
    identities: str | None = Field(
        default=None, description="Folder of each {service}'s cert.pem, key.pem and ca.pem, where links use mutual TLS."
    )
    tenant_header: str | None = Field(default="x-tenant-id", description="Names the tenant on calls between services.")
    tenant_claim: str | None = Field(default="tenant", description="Names the tenant in a bearer token.")
    error_trace: str | None = Field(default=None, description='Where an error answer names its trace: "trace_id".')
    flags: Flags | None = None
    services: dict[str, Service] = Field(min_length=1)
    links: dict[str, Link] = {}
    tenants: dict[str, Tenant] = Field(min_length=1)
    token: Token | None = None
    flows: dict[str, Flow] = Field(min_length=1)
    ledgers: dict[str, Ledger] = {}
    objectives: dict[str, Objective] = {}
    defaults: Defaults = Defaults()
    leak: LeakLevels = LeakLevels()
    protections: dict[str, Protection] = {}

    @field_validator("deployment", mode="before")
    @classmethod
    def _deployment_is_known(cls, written: object) -> object:
        known = [deployment.value for deployment in Deployment]
        if isinstance(written, Deployment) or written in known:
            return written
        msg = f"unknown deployment {written!r}{did_you_mean(str(written), known)}"
        raise ValueError(msg)

    @field_validator("links")
    @classmethod
    def _links_have_two_ends(cls, links: Mapping[str, Link]) -> Mapping[str, Link]:
        for name in links:
            if not _LINK.fullmatch(name):
                msg = f"a link is written 'caller -> callee', got {name!r}"
                raise ValueError(msg)
        return links


def ends_of(link: str) -> tuple[str, str]:
    """Return caller and callee of "caller -> callee"."""
    caller, _, callee = link.partition(" -> ")
    return caller, callee


def load_target(path: Path) -> Target:
    """Read and check a target file; UsageError with positions where it does not fit together."""
    source = read_yaml(path)
    target = validate(source, Target)
    _check_names(source, target)
    if target.deployment is Deployment.LOCAL:
        _check_commands(source, target)
    return target


def _check_commands(source: Source, target: Target) -> None:
    """What the harness starts itself needs a command."""
    for name, service in target.services.items():
        if service.kind is ServiceKind.COMMAND and not service.command:
            raise source.error(("services", name), f"services.{name}: a service needs a command (or kind: postgres)")


def _check_names(source: Source, target: Target) -> None:
    _known(source, ("entry",), target.entry, target.services)
    for link in target.links:
        for end in ends_of(link):
            _known(source, ("links", link), end, target.services, key=True)
    if target.flags:
        _known(source, ("flags", "service"), target.flags.service, target.services)
    for name, ledger in target.ledgers.items():
        if ledger.of:
            _known(source, ("ledgers", name, "of"), ledger.of, target.ledgers)
    for flow in target.objectives:
        _known(source, ("objectives", flow), flow, target.flows, key=True)
    _check_steps(source, target)
    for name, protection in target.protections.items():
        _known(source, ("protections", name, "service"), protection.service, target.services)
        for index, link in enumerate(protection.guards):
            _known(source, ("protections", name, "guards", index), link, target.links)


def _check_steps(source: Source, target: Target) -> None:
    for name, flow_spec in target.flows.items():
        for index, step in enumerate(flow_spec.steps):
            if step.service:
                _known(source, ("flows", name, "steps", index, "service"), step.service, target.services)
            if step.ledger:
                _known(source, ("flows", name, "steps", index, "ledger", "name"), step.ledger.name, target.ledgers)


def _known(
    source: Source, location: tuple[str | int, ...], word: str, known: Mapping[str, object], *, key: bool = False
) -> None:
    if word not in known:
        raise source.error(location, f"unknown name {word!r}{did_you_mean(word, known)}", key=key)
