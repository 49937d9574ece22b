"""`faults:` of a scenario: what is perturbed, where, for whom and when. One entry is exactly one kind of fault."""

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, PositiveInt, create_model, model_validator
from pydantic.json_schema import JsonSchemaValue

from harness.model.base import Spec
from harness.model.files.extensible import PLUGINS, Extensible
from harness.model.files.fault_fields import fields_of
from harness.model.files.fault_kinds.declared import BUILT_IN, added_kinds, every_kind, old_names
from harness.model.files.fault_kinds.on_links import TOXICS as _TOXICS
from harness.model.files.fault_kinds.row import FaultKind, Option, Place
from harness.model.files.fault_specs import Delay, Rate
from harness.model.files.units import Duration, Moment, Share

__all__ = ["HTTP_KINDS", "KINDS", "TOXICS", "Fault", "Rate", "Repeat", "Scope"]

KINDS = tuple(kind.name for kind in BUILT_IN)
TOXICS = tuple(kind.name for kind in _TOXICS)
HTTP_KINDS = tuple(kind.name for kind in BUILT_IN if kind.place is Place.REQUEST)

_EXAMPLES = {"link": "payments -> provider-a", "service": "orders"}


class Scope(Spec):
    """Which requests on a link are affected: those that match every part that is given."""

    tenant: str | None = None
    method: str | None = None
    route: str | None = Field(default=None, description='Path, "*" for any part of it: "/orders/*".')
    header: dict[str, str] = {}
    share: Share | None = Field(default=None, description="Of the requests that match the rest; drawn from the seed.")
    next: PositiveInt | None = Field(
        default=None, description="Only the first requests that match the rest, this many."
    )
    trace: Annotated[str | None, Field(pattern="^[0-9a-f]{32}$")] = None


class Repeat(Spec):
    """Again every *every*, *times* times in all."""

    every: Duration
    times: PositiveInt


class _AnyFault(Extensible):
    """What every fault has: its place and its time. `Fault` adds the kinds."""

    link: str | None = None
    service: str | None = None
    scope: Scope | None = Field(default=None, description="Which requests on the link; without it all of them.")
    toxicity: Share = Field(default=1.0, description="Share of the connections that a toxic affects.")
    stream: Annotated[str, Field(pattern="^(upstream|downstream)$")] = Field(
        default="downstream", description="downstream: on the answers; upstream: on the requests."
    )
    start: Moment = Field(
        default=Moment(0.0, 0.0), description='After the fault phase begins; "1s..6s" is drawn from the seed.'
    )
    duration: Duration | None = Field(default=None, description="Without it: to the end of the fault phase.")
    ramp: Duration = Field(default=0.0, description="Ramp-up time (latency, delay and bandwidth only).")
    repeat: Repeat | None = None

    @property
    def given(self) -> list[str]:
        """The kinds that are asked for; a valid fault has exactly one."""
        return [
            name for name in every_kind() if (value := getattr(self, name, None)) is not None and value is not False
        ]

    @property
    def toxic(self) -> str | None:
        """Name of the toxic that is asked for, if any; a latency with a scope is a delay of requests instead."""
        return next((name for name in TOXICS if self.scope is None and getattr(self, name) is not None), None)

    @property
    def kind(self) -> str:
        """What happens: the name of a kind."""
        (kind,) = self.given
        return "delay" if kind == "latency" and self.scope is not None else kind

    @property
    def declared(self) -> FaultKind:
        """The declaration of its kind."""
        return every_kind()[self.kind]

    @property
    def spec(self) -> Any:
        """The parameters of its kind, as the kind's own type; True where it has none."""
        return self.request_delay if self.kind == "delay" else getattr(self, self.kind)

    @property
    def request_delay(self) -> Delay | None:
        """How long requests are held, whichever way it was written."""
        latency, delay = getattr(self, "latency", None), getattr(self, "delay", None)
        if latency is not None and self.scope is not None:
            spread = "uniform" if latency.jitter else "fixed"
            return Delay.model_construct(latency=latency.latency, jitter=latency.jitter, distribution=spread)
        return delay

    @property
    def place(self) -> str:
        """Where it happens: the link, the service, the flag, or the tenant that surges."""
        flag, surge = getattr(self, "flag", None), getattr(self, "surge", None)
        if flag is not None:
            return f"flag {flag.name}"
        return self.link or self.service or (f"tenant {surge.tenant}" if surge else "?")

    @property
    def shortest_s(self) -> float:
        """How long all its repetitions take from its start, as far as they are given."""
        again_s = self.repeat.every * (self.repeat.times - 1) if self.repeat else 0.0
        return again_s + (self.duration or 0.0)

    # -- kinds that plugins add ----------------------------------------------------------------------------------------

    @classmethod
    def added_names(cls) -> list[str]:
        """Return the kinds that plugins added so far."""
        return [kind.name for kind in added_kinds()]

    @classmethod
    def extended(cls) -> type["Fault"]:
        """Return the model with the plugins' kinds."""
        return _extended(added_kinds()) if added_kinds() else Fault

    @classmethod
    def todays_name(cls, key: str) -> str:
        """Return what the kind *key* is called today."""
        return old_names(every_kind().values()).get(key, key)

    @classmethod
    def with_old_names(cls, handler: GetJsonSchemaHandler, schema: JsonSchemaValue) -> JsonSchemaValue:
        """Let the JSON Schema take the old names too, and mark them for editors."""
        properties = handler.resolve_ref_schema(schema)["properties"]
        for old, name in old_names(every_kind().values()).items():
            if name in properties:
                properties[old] = {**properties[name], "deprecated": True, "description": f"The old name of {name}."}
        return schema

    # -- what must fit together ----------------------------------------------------------------------------------------

    @model_validator(mode="after")
    def _is_one_thing(self) -> "_AnyFault":
        if len(self.given) != 1:
            msg = f"a fault is exactly one of {', '.join(every_kind())}; got {', '.join(self.given) or 'none'}"
            raise ValueError(msg)
        (name,) = self.given
        kind = every_kind()[name]
        self._is_somewhere(kind)
        self._scope_fits(kind)
        self._times_fit(kind)
        return self

    def _is_somewhere(self, kind: FaultKind) -> None:
        for place, example in _EXAMPLES.items():
            is_wanted = kind.place.key == place
            if (getattr(self, place) is not None) != is_wanted:
                wanted = f"{kind.name} needs a {place} such as {example!r}"
                raise ValueError(wanted if is_wanted else f"a {kind.name} has no {place}")

    def _scope_fits(self, kind: FaultKind) -> None:
        if self.scope is not None and Option.SCOPE not in kind.options:
            msg = f"{kind.name} touches whole connections: a scope goes with {', '.join(_with(Option.SCOPE))}"
            raise ValueError(msg)

    def _times_fit(self, kind: FaultKind) -> None:
        if self.ramp and Option.RAMP not in kind.options:
            msg = f"{kind.name} has no ramp; {', '.join(sorted(_with(Option.RAMP)))} have"
            raise ValueError(msg)
        if self.repeat is None:
            return
        if Option.REPEAT not in kind.options:
            msg = f"a {kind.name} is not repeated; write several"
            raise ValueError(msg)
        if not self.duration or self.duration >= self.repeat.every:
            msg = "a repeated fault needs a duration shorter than `every`"
            raise ValueError(msg)


def _with(option: Option) -> list[str]:
    return [kind.name for kind in every_kind().values() if option in kind.options]


if TYPE_CHECKING:

    class Fault(_AnyFault):
        """A perturbation with its place and its time; it has one field for each kind, of which one is given."""

        def __getattr__(self, name: str) -> Any: ...

else:
    Fault = create_model(
        "Fault",
        __base__=_AnyFault,
        __module__=__name__,
        __doc__="A perturbation with its place and its time: "
        "what happens to a link, a service, a flag, or a tenant's load.",
        **fields_of(BUILT_IN),
    )


@lru_cache(maxsize=8)
def _extended(added: tuple[FaultKind, ...]) -> type[Fault]:
    """Return the model of a fault that may also be of an added kind."""
    extended: type[Fault] = create_model("Fault", __base__=Fault, __module__=PLUGINS, **fields_of(added))
    return extended
