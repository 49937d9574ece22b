"""All kinds of check that scenarios can ask for: those of the harness, and those that plugins add."""

from collections.abc import Iterable, Mapping

from harness.model.files.check_kinds.on_calls import ON_CALLS
from harness.model.files.check_kinds.on_data import ON_DATA
from harness.model.files.check_kinds.on_requests import ON_REQUESTS
from harness.model.files.check_kinds.on_windows import ON_WINDOWS
from harness.model.files.check_kinds.row import CheckKind

BUILT_IN: tuple[CheckKind, ...] = (*ON_REQUESTS, *ON_CALLS, *ON_DATA, *ON_WINDOWS)
"""The kinds of the harness itself. A new kind is one more row in one of these files."""

_added: dict[str, CheckKind] = {}


def add_kinds(kinds: Iterable[CheckKind]) -> None:
    """Let files use *kinds* beside the built-in ones, in this process; `harness.checks.plugins` checks them first."""
    _added.update((kind.name, kind) for kind in kinds)


def added_kinds() -> tuple[CheckKind, ...]:
    """Return what `add_kinds` was given so far."""
    return tuple(_added.values())


def every_kind() -> Mapping[str, CheckKind]:
    """Return all kinds by name, the built-in ones first."""
    return {kind.name: kind for kind in BUILT_IN} | _added
