"""What can make one kind of fault real, and roll it back."""

from collections import Counter
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Observed:
    """What a fault touched, by the injector's own count; -1 where it cannot count.

    `touched` counts what is no traffic: processes, backends, flags, as `unit` says.
    """

    connections: int = -1
    bytes: int = -1
    first_observed_ns: int | None = None
    requests: int = -1
    touched: int = -1
    unit: str = ""
    tenants: tuple[tuple[str, int], ...] = ()  # whose requests, where the injector knows

    @property
    def is_something(self) -> bool:
        """True where it was observed at all."""
        return max(self.connections, self.requests, self.touched) > 0

    def __add__(self, other: "Observed") -> "Observed":
        """Return both together; what neither counts stays unknown."""

        def both(mine: int, yours: int) -> int:
            return max(mine, 0) + max(yours, 0) if max(mine, yours) >= 0 else -1

        firsts = [first for first in (self.first_observed_ns, other.first_observed_ns) if first is not None]
        return Observed(
            both(self.connections, other.connections),
            both(self.bytes, other.bytes),
            min(firsts, default=None),
            both(self.requests, other.requests),
            both(self.touched, other.touched),
            self.unit or other.unit,
            tuple(sorted((Counter(dict(self.tenants)) + Counter(dict(other.tenants))).items())),
        )

    def counts(self) -> dict[str, int | str | None]:
        """Return the fields of the event that tells of it."""
        fields: dict[str, int | str | None] = {"connections": self.connections, "bytes": self.bytes}
        if self.requests >= 0:
            fields["requests"] = self.requests
        if self.tenants:
            fields["tenants"] = ", ".join(f"{count:,} of {tenant}" for tenant, count in self.tenants)
        if self.touched >= 0:
            fields |= {"touched": self.touched, "unit": self.unit}
        return {**fields, "first_observed_ns": self.first_observed_ns}


UNKNOWN = Observed()


@runtime_checkable
class Ramped(Protocol):
    """An injector whose fault grows to its full size while it is in place."""

    def grow(self, age_s: float) -> None:
        """Make it as large as it should be *age_s* after it was applied. HarnessError where that is impossible."""
        ...


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Whether a fault is there as it was asked for; None where that cannot be told. `found` says what is there."""

    intact: bool | None
    found: str = ""


GONE = ReadBack(intact=False, found="gone")
AS_ASKED = ReadBack(intact=True)


@runtime_checkable
class ReadsBack(Protocol):
    """An injector that can say at any time whether its fault still has the strength that was asked for."""

    def read_back(self) -> ReadBack:
        """Compare what is there now with what was asked for; a second at most."""
        ...


class Injector(Protocol):
    """One fault. Calls block, each for a limited time; they run in threads. None of them sleeps through the fault."""

    def apply(self) -> None:
        """Write the undo down, then make the fault real. HarnessError when that is impossible."""
        ...

    def confirm(self) -> bool:
        """Read back whether the fault is there as it was asked for."""
        ...

    def observed(self) -> Observed:
        """Return what it has touched so far; UNKNOWN where that cannot be told."""
        ...

    def undo(self) -> str:
        """Roll it back and read that it is gone; return why it may still be there, "" once it is not. May be repeated.

        It stays in the journal until `settle`. Works
        also right after a failed or half-done `apply`, and where somebody else rolled it back already.
        """
        ...

    def settle(self) -> None:
        """Strike a confirmed undo from the journal, once it was reported: a kill repeats a report, and loses none."""
        ...

    def lifted_by(self) -> str:
        """Return who has rolled it back before us: "reaper", "abort", "somebody" or, while it stands, ""."""
        ...
