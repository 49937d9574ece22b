"""Fault kinds of other distributions: entry points of the group `harness.faults`, each the declaration of one kind.

[project.entry-points."harness.faults"]
slow_disk = "my_faults.kind:SLOW_DISK"
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from harness.model.files.fault_kinds.row import FaultKind

GROUP = "harness.faults"


@cache
def declared_by_plugins() -> dict[str, object]:
    """Import what the entry points name; return it by the plugin's description, an exception where that failed."""
    return {describe(point): _loaded(point) for point in entry_points(group=GROUP)}


def describe(point: EntryPoint) -> str:
    """Name a plugin for people: distribution, entry point and object."""
    distribution = point.dist.name if point.dist else "an unknown distribution"
    return f"{distribution} ({point.name} = {point.value})"


def _loaded(point: EntryPoint) -> object:
    try:
        found = point.load()
    except (Exception, SystemExit) as problem:  # noqa: BLE001  a plugin may raise anything
        return problem
    return found if isinstance(found, FaultKind) else TypeError(f"it is a {type(found).__name__}, not a FaultKind")
