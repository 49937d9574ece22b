"""What can make one kind of fault real, and take it back."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Felt:
    """What a fault touched, by the injector's own count; -1 where it cannot count."""

    connections: int = -1
    bytes: int = -1
    first_felt_ns: int | None = None


UNKNOWN = Felt()


class Injector(Protocol):
    """One fault. Calls block, each for a limited time; they run in threads. None of them sleeps through the fault."""

    def apply(self) -> None:
        """Write the undo down, then make the fault real. HarnessError when that is impossible."""
        ...

    def confirm(self) -> bool:
        """Read back whether the fault is there as it was asked for."""
        ...

    def felt(self) -> Felt:
        """Return what it has touched so far; UNKNOWN where that cannot be told."""
        ...

    def undo(self) -> str:
        """Take it back and read that it is gone; return why it may still be there, "" once it is not. May be repeated.

        Also right after a failed or half-done `apply`, and where somebody else took it back already.
        """
        ...

    def lifted_by(self) -> str:
        """Return who has taken it back before us: "reaper", "somebody" or, while it stands, ""."""
        ...
