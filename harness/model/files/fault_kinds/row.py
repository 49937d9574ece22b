"""The declaration of one kind of fault. The reaper reads it too: it refers to code by name, and imports none."""

from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Any

from harness.model.errors import HarnessError
from harness.model.run.capabilities import Capability

Reference = str
"""Names an object of a module: "package.module:Name"; imported when it is needed, by `resolve`."""


class Place(Enum):
    """Where a kind of fault happens; the value is what `harness faults` prints."""

    LINK = "link"
    REQUEST = "link (HTTP)"
    SERVICE = "service"
    DATABASE = "database"
    BROKER = "broker"
    FLAG = "flag"
    LOAD = "load"

    @property
    def key(self) -> str:
        """The key of a fault that names the place: link or service; "" where the kind names it itself."""
        if self in (Place.LINK, Place.REQUEST):
            return "link"
        return "service" if self in (Place.SERVICE, Place.DATABASE, Place.BROKER) else ""


class Option(Enum):
    """What can be said of some kinds beside what every fault takes; the values are keys of a fault."""

    SCOPE = "scope"
    TOXICITY = "toxicity"
    STREAM = "stream"
    RAMP = "ramp"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One kind of fault: how it is written, what makes it real, what rolls it back, and what people read of it."""

    name: str
    place: Place
    does: str
    example: str
    observed: str
    rolled_back: str
    make: Reference
    """A function (fault, circumstances) -> injector: `harness.faults.kinds.circumstances` has the latter."""
    acts: tuple[Reference, ...] = ()
    """What the injector writes to the undo journal. These modules must import little: the reaper needs them."""
    spec: Reference = ""
    """The type of its parameters, as pydantic validates it; without one the kind is only switched on: `kill: true`."""
    shorthand: str = ""
    """The parameter that a bare value stands for: `latency: 10s`."""
    options: frozenset[Option] = frozenset({Option.REPEAT})
    needs: tuple[Capability, ...] = ()
    """What the driver must be able to do."""
    missing: Reference = ""
    """A function () -> str that says why this machine cannot do it, "" where it can."""
    platforms: str = "Linux"
    formerly: tuple[str, ...] = ()
    """Names under which older files and recordings have it."""
    origin: str = ""
    """The distribution that adds it; "" for the harness itself."""


def resolve(reference: Reference) -> Any:
    """Import what *reference* names.

    Raises:
        HarnessError: there is no such module or name, or importing it fails.
    """
    module, _, name = reference.partition(":")
    try:
        return getattr(import_module(module), name)
    except Exception as problem:
        msg = f"{reference!r} cannot be imported: {type(problem).__name__}: {problem}"
        raise HarnessError(msg) from problem
