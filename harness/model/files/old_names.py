"""Notes for files that use names which have a newer one; the old ones keep working."""

from collections.abc import Mapping

from harness.model.files.fault_kinds.declared import every_kind, old_names
from harness.model.files.source import Source


def deprecations(source: Source) -> list[str]:
    """Return a note for each old name of a fault kind that the scenario in *source* uses, with its position."""
    old = old_names(every_kind().values())
    faults = source.data.get("faults") if isinstance(source.data, Mapping) else None
    return [
        f"{source.where(('faults', number, key), key=True)}: {key!r} is an old name; write {old[key]!r}"
        for number, fault in enumerate(faults if isinstance(faults, list) else [])
        if isinstance(fault, Mapping)
        for key in fault
        if key in old
    ]
