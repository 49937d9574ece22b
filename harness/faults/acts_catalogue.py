"""Every act that an undo journal may hold, by its name there; derived from the declarations of the fault kinds.

The reaper reads it, so it imports little: the modules of the acts, and those of a plugin only when a journal names an
act that the harness itself does not have.
"""

from collections.abc import Iterable
from functools import cache

from harness.faults.plugin_kinds import declared_by_plugins
from harness.faults.safety.acts import Act, FolderMade, ProcessMade, RunMark
from harness.model.errors import HarnessError
from harness.model.files.fault_kinds.declared import BUILT_IN, added_kinds
from harness.model.files.fault_kinds.row import FaultKind, resolve


def act_named(what: str) -> type[Act] | None:
    """Return the act that stands under *what* in a journal; None where no kind of fault has such an act."""
    return _built_in().get(what) or _of_plugins().get(what)


def is_registered(act: type[Act]) -> bool:
    """Say whether whoever reads a journal will find *act* under its name."""
    return act_named(act.what) is act


def acts_of(kinds: Iterable[FaultKind]) -> dict[str, type[Act]]:
    """Return the acts that *kinds* write to the journal, by name.

    Raises:
        HarnessError: one cannot be imported.
    """
    acts = (resolve(reference) for kind in kinds for reference in kind.acts)
    return {act.what: act for act in acts}


@cache
def _built_in() -> dict[str, type[Act]]:
    return {act.what: act for act in (RunMark, ProcessMade, FolderMade)} | acts_of(BUILT_IN)


def _of_plugins() -> dict[str, type[Act]]:
    """Return the acts of plugins: those in use here, and those that are installed."""
    return _installed() | acts_of(added_kinds())


@cache
def _installed() -> dict[str, type[Act]]:
    found: dict[str, type[Act]] = {}
    for kind in declared_by_plugins().values():
        if isinstance(kind, FaultKind):
            try:
                found |= acts_of([kind])
            except HarnessError:
                continue  # an act that nobody can read is reported as left behind, under its name
    return found
