"""Fault kinds of other distributions: entry points of the group `harness.faults`, each the declaration of one kind.

[project.entry-points."harness.faults"]
slow_disk = "my_faults.kind:SLOW_DISK"
"""

from functools import cache

from harness.model.files.fault_kinds.row import FaultKind
from harness.model.plugins import declared_in

GROUP = "harness.faults"


@cache
def declared_by_plugins() -> dict[str, object]:
    """Import what the entry points name; return it by the plugin's description, an exception where that failed."""
    return declared_in(GROUP, FaultKind)
