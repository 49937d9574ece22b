"""What makes a fault real besides itself."""

from dataclasses import dataclass

from harness.faults.kinds.places import Places
from harness.faults.safety.safety import Safety
from harness.model.files.target import Flags


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Given to the maker of each kind: the fault's name, the running target, how its flags are set, and the journal."""

    name: str
    places: Places
    flags: Flags | None
    safety: Safety
