"""`target.yaml`: the system under test, described so that a stack that nobody here wrote fits it without code."""

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from harness.model.base import Spec
from harness.model.source import Source, did_you_mean, read_yaml, validate
from harness.model.units import Bound, Duration

_LINK = re.compile(r"(?P<caller>[\w.-]+) -> (?P<callee>[\w.-]+)")


class ServiceKind(Enum):
    """How a service is run."""

    COMMAND = "command"
    POSTGRES = "postgres"


class Service(Spec):
    """One process of the target."""

    kind: ServiceKind = ServiceKind.COMMAND
    command: list[str] = Field(
        default=[], description="Program and arguments; {python} is the harness' own interpreter."
    )
    env: dict[str, str] = Field(default={}, description="Environment of this service; {port}, {host}, … are filled in.")
    ready: str = Field(default="/health/ready", description="Path that answers 200 once the service can serve.")
    metrics: str | None = Field(
        default="/metrics", description="Path of Prometheus metrics; null where there are none."
    )
    database: str | None = Field(
        default=None, description="For kind postgres: the database, and the role that owns it."
    )
    third_party: bool = Field(default=False, description="A simulator of somebody else's system.")

    @model_validator(mode="after")
    def _is_runnable(self) -> "Service":
        if self.kind is ServiceKind.COMMAND and not self.command:
            msg = "a service needs a command (or kind: postgres)"
            raise ValueError(msg)
        if self.kind is ServiceKind.POSTGRES and not self.database:
            msg = "a service of kind postgres needs the name of its database"
            raise ValueError(msg)
        return self


class Link(Spec):
    """How a caller finds a callee; the driver puts the fault proxy's address there."""

    env: str = Field(description="Environment variable of the caller.")
    value: str = Field(default="http://{address}", description="Its value; {address} is host:port of the link.")


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
    method: str = "GET"
    path: str
    headers: dict[str, str] = {}
    body: Any = None
    expect: int = Field(default=200, description="The status that means success.")
    watermark: str | None = Field(
        default=None, description='Where the answer names its tenant: "tenant", "orders[].tenant".'
    )
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

    errors: Bound | None = None
    p50: Bound | None = None
    p95: Bound | None = None
    p99: Bound | None = None

    def measures(self) -> dict[str, Bound]:
        """Return the bounds that are given, by measure."""
        return {name: bound for name in ("errors", "p50", "p95", "p99") if (bound := getattr(self, name)) is not None}


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


class Target(Spec):
    """The system under test."""

    name: str
    description: str = ""
    entry: str = Field(description="The service that flows and tokens are sent to.")
    proofs: Proofs = Proofs()
    environment: dict[str, str] = {}
    services: dict[str, Service] = Field(min_length=1)
    links: dict[str, Link] = {}
    tenants: dict[str, Tenant] = Field(min_length=1)
    token: Token | None = None
    flows: dict[str, Flow] = Field(min_length=1)
    ledgers: dict[str, Ledger] = {}
    objectives: dict[str, Objective] = {}
    protections: dict[str, Protection] = {}

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
    return target


def _check_names(source: Source, target: Target) -> None:
    _known(source, ("entry",), target.entry, target.services)
    for link in target.links:
        for end in ends_of(link):
            _known(source, ("links", link), end, target.services, key=True)
    for flow in target.objectives:
        _known(source, ("objectives", flow), flow, target.flows, key=True)
    for name, flow_spec in target.flows.items():
        for index, step in enumerate(flow_spec.steps):
            if step.ledger:
                _known(source, ("flows", name, "steps", index, "ledger", "name"), step.ledger.name, target.ledgers)
    for name, protection in target.protections.items():
        _known(source, ("protections", name, "service"), protection.service, target.services)
        for index, link in enumerate(protection.guards):
            _known(source, ("protections", name, "guards", index), link, target.links)


def _known(
    source: Source, location: tuple[str | int, ...], word: str, known: Mapping[str, object], *, key: bool = False
) -> None:
    if word not in known:
        raise source.error(location, f"unknown name {word!r}{did_you_mean(word, known)}", key=key)
