"""From the declarations of the fault kinds to what makes them real, and whether this machine can."""

from collections.abc import Mapping

from harness.faults.kinds.circumstances import Circumstances
from harness.faults.kinds.injector import Injector
from harness.model.files.fault_kinds.declared import BUILT_IN
from harness.model.files.fault_kinds.row import FaultKind, resolve
from harness.model.files.faults import Fault
from harness.model.run.capabilities import Capability

__all__ = ["CATALOGUE", "Circumstances", "FaultKind", "injector_for", "needs_of", "why_kind_missing", "why_missing"]

CATALOGUE: Mapping[str, FaultKind] = {kind.name: kind for kind in BUILT_IN}
"""The built-in kinds by name; `every_kind` of the declarations also has those of plugins."""


def injector_for(fault: Fault, around: Circumstances) -> Injector:
    """Return what makes *fault* real; ValueError for a surge, which the load makes."""
    injector: Injector = resolve(fault.declared.make)(fault, around)
    return injector


def needs_of(fault: Fault) -> tuple[Capability, ...]:
    """Return what *fault* needs of the driver."""
    return fault.declared.needs


def why_missing(fault: Fault) -> str:
    """Say why *fault* is not available on this machine; "" where it is."""
    return why_kind_missing(fault.declared)


def why_kind_missing(kind: FaultKind) -> str:
    """Say why faults of *kind* are not available on this machine; "" where they are."""
    return str(resolve(kind.missing)()) if kind.missing else ""
