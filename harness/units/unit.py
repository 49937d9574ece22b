"""A unit as faults see it, whatever runs it: a process tree, a container, a pod."""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from harness.model.errors import HarnessError


class Limit(Enum):
    """What of a running unit can be limited; the value stands in the undo journal."""

    MEMORY = "memory"  # bytes
    FILES = "files"  # open files and sockets


class UnitError(HarnessError):
    """A unit could not be changed; the message says why."""


class Unit(Protocol):
    """What a service is at one moment. What was started later belongs to a later unit.

    Methods block for at most a second or two. A member that is gone is no error.
    """

    @property
    def identity(self) -> str:
        """Text from which `unit_named` finds exactly this unit again; it goes into the undo journal."""
        ...

    @property
    def size(self) -> int:
        """How many members it has, dead ones included."""
        ...

    @property
    def noun(self) -> str:
        """What a member is: "processes", "containers"."""
        ...

    def living(self) -> Sequence[str]:
        """Return the names of the members that live."""
        ...

    def paused(self) -> Sequence[str]:
        """Return the names of the living members that are paused."""
        ...

    def kill(self) -> None:
        """End every member at once."""
        ...

    def end(self) -> None:
        """Ask every member to end; it may finish what it does."""
        ...

    def pause(self) -> None:
        """Stop every member where it is."""
        ...

    def resume(self) -> None:
        """Let every member go on."""
        ...

    def read_limit(self, limit: Limit) -> str:
        """Return the limit that holds now, as text that `restore_limit` reads."""
        ...

    def lower_limit(self, limit: Limit, value: int) -> None:
        """Set a lower limit for every member; UnitError where that is impossible."""
        ...

    def limited(self, limit: Limit, value: int) -> Sequence[str]:
        """Return the names of the living members under such a limit."""
        ...

    def restore_limit(self, limit: Limit, before: str) -> str:
        """Set the limit back to what `read_limit` returned; return why that is impossible, or ""."""
        ...
