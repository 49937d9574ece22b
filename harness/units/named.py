"""From the identity of a unit, as an undo journal holds it, to the unit: one row for each kind of unit."""

from collections.abc import Callable, Mapping

from harness.units import processes
from harness.units.unit import Unit

_KINDS: Mapping[str, Callable[[str], Unit]] = {processes.SCHEME: processes.Processes.parse}
"""Scheme -> what makes a unit of the rest. The reaper comes here: what is expensive to import, a row imports itself."""


def unit_named(identity: str) -> Unit | None:
    """Return the unit that wrote *identity*; None for a scheme that is not known here."""
    scheme, _, rest = identity.partition(" ")
    parse = _KINDS.get(scheme)
    return parse(rest) if parse else None
