"""All kinds of fault: those of the harness, and those that plugins add."""

from collections.abc import Iterable, Mapping

from harness.model.files.fault_kinds.elsewhere import FLAG, SURGE
from harness.model.files.fault_kinds.in_servers import BROKERS, DATABASES
from harness.model.files.fault_kinds.on_links import DOWN, KERNEL, TOXICS
from harness.model.files.fault_kinds.on_requests import REQUESTS
from harness.model.files.fault_kinds.on_services import SERVICES
from harness.model.files.fault_kinds.row import FaultKind

BUILT_IN: tuple[FaultKind, ...] = (*TOXICS, DOWN, *REQUESTS, *KERNEL, *SERVICES, *DATABASES, *BROKERS, FLAG, SURGE)
"""The kinds of the harness itself, in the order in which people ask for them. A new kind is one more row here."""

_added: dict[str, FaultKind] = {}


def add_kinds(kinds: Iterable[FaultKind]) -> None:
    """Let files use *kinds* beside the built-in ones, in this process; `harness.faults.plugins` checks them first."""
    _added.update((kind.name, kind) for kind in kinds)


def added_kinds() -> tuple[FaultKind, ...]:
    """Return what `add_kinds` was given so far."""
    return tuple(_added.values())


def every_kind() -> Mapping[str, FaultKind]:
    """Return all kinds by name, the built-in ones first."""
    return {kind.name: kind for kind in BUILT_IN} | _added


def old_names(kinds: Iterable[FaultKind]) -> dict[str, str]:
    """Return the names that kinds had before, each with today's."""
    return {old: kind.name for kind in kinds for old in kind.formerly}
