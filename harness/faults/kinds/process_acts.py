"""Faults on units, as the undo journal holds them: each unit by its identity, so that nothing else is ever touched."""

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.faults.safety.acts import FaultAct
from harness.faults.safety.endings import end_processes
from harness.faults.safety.ours import identities_problem
from harness.units.named import unit_named
from harness.units.processes import identified, written
from harness.units.unit import Limit

__all__ = ["HelperStarted", "LimitLowered", "ProcessesKilled", "ProcessesPaused", "identified", "written"]

_POLL_S = 0.02


def _unknown(unit: str) -> str:
    return f"nothing here knows the unit {unit!r}"


def _unit_problem(unit: str) -> str:
    """Say why *unit* cannot be one that the harness wrote; a damaged name must not pass for one that is gone."""
    scheme, _, rest = unit.partition(" ")
    if scheme == "processes":
        return identities_problem(rest)
    return "" if unit_named(unit) is not None else _unknown(unit)


def _limit_named(resource: str) -> Limit | None:
    return next((limit for limit in Limit if limit.value == resource), None)


@dataclass(frozen=True, slots=True)
class ProcessesKilled(FaultAct):
    """A unit that was killed. A kill cannot be reverted: whoever runs the service starts it again."""

    what: ClassVar[str] = "killed"
    service: str
    unit: str

    @property
    def place(self) -> str:
        """The service."""
        return self.service

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the unit."""
        return _unit_problem(self.unit)

    def heal(self, deadline_s: float) -> str:  # noqa: ARG002
        """Nothing of it is left but the absence of what was killed."""
        return ""

    def is_there(self) -> bool | None:
        """True while no member of the unit lives: then they were killed."""
        unit = unit_named(self.unit)
        return None if unit is None else not unit.living()


@dataclass(frozen=True, slots=True)
class ProcessesPaused(FaultAct):
    """A unit that was paused."""

    what: ClassVar[str] = "paused"
    service: str
    unit: str

    @property
    def place(self) -> str:
        """The service."""
        return self.service

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the unit."""
        return _unit_problem(self.unit)

    def heal(self, deadline_s: float) -> str:
        """Resume it; a member that is gone is paused no more."""
        unit = unit_named(self.unit)
        if unit is None:
            return _unknown(self.unit)
        while True:
            unit.resume()
            left = unit.paused()
            if not left or time.monotonic() > deadline_s:
                return f"still stopped: {', '.join(left)}" if left else ""
            time.sleep(_POLL_S)

    def is_there(self) -> bool | None:
        """True where every member that lives is paused."""
        unit = unit_named(self.unit)
        if unit is None:
            return None
        living = unit.living()
        return bool(living) and len(unit.paused()) == len(living)


@dataclass(frozen=True, slots=True)
class LimitLowered(FaultAct):
    """A resource limit of a unit that was lowered; *before* is what it was, as the unit wrote it."""

    what: ClassVar[str] = "limit"
    service: str
    unit: str
    resource: str
    lowered: int
    before: str

    @property
    def place(self) -> str:
        """The service."""
        return self.service

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the unit, and at what is limited."""
        if _limit_named(self.resource) is None or self.lowered < 0:
            return f"limit {self.resource} of {self.lowered} is not ours"
        return _unit_problem(self.unit)

    def heal(self, deadline_s: float) -> str:  # noqa: ARG002
        """Raise it again."""
        unit, limit = unit_named(self.unit), _limit_named(self.resource)
        if unit is None or limit is None:
            return _unknown(f"{self.unit} {self.resource}")
        if cause := unit.restore_limit(limit, self.before):
            return cause
        return "the limit is still lowered" if self._is_lowered(unit.read_limit(limit)) else ""

    def is_there(self) -> bool | None:
        """True where every member that lives is under the limit."""
        unit, limit = unit_named(self.unit), _limit_named(self.resource)
        if unit is None or limit is None:
            return None
        living = unit.living()
        return bool(living) and len(unit.limited(limit, self.lowered)) == len(living)

    def _is_lowered(self, now: str) -> bool:
        """A member that is gone has no limit any more: only what is read now, and is not as before, counts."""
        pairs = zip(now.split(), self.before.split(), strict=False)
        return any(after not in (before, "-") for after, before in pairs)


@dataclass(frozen=True, slots=True)
class HelperStarted(FaultAct):
    """Processes of ours that do harm by what they do: burn CPU, hold a lock or connections. They die with the fault."""

    what: ClassVar[str] = "helper"
    service: str
    processes: str

    @property
    def place(self) -> str:
        """The service."""
        return self.service

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Look at the names of the processes."""
        return identities_problem(self.processes)

    def heal(self, deadline_s: float) -> str:
        """Kill them; what they held is given back by the kernel and by PostgreSQL."""
        roots = [(process, signal.SIGKILL) for process in identified(self.processes)]
        left = end_processes(roots, polite_s=max(0.1, deadline_s - time.monotonic())) if roots else []
        return f"still there: {', '.join(str(process.pid) for process in left)}" if left else ""

    def is_there(self) -> bool | None:
        """True while any of them lives."""
        return next(identified(self.processes), None) is not None
