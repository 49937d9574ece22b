"""What injectors have in common whose acts know whether they are in place and how to roll them back."""

import time
from abc import ABC, abstractmethod

from harness.faults.kinds.injector import AS_ASKED, GONE, UNKNOWN, Observed, ReadBack
from harness.faults.safety.acts import FaultAct
from harness.faults.safety.journal import Entry
from harness.faults.safety.safety import Safety, Token
from harness.faults.safety.undo import undo_faults


class StandingFault(ABC):
    """A fault made of acts; each is journalled by `_write` before it is done, and undone by the reaper's own code."""

    def __init__(self, safety: Safety) -> None:
        self._safety = safety
        self._written: list[tuple[Token, FaultAct]] = []
        self._undone: list[Token] = []

    @abstractmethod
    def apply(self) -> None:
        """Write the undo down, then make the fault real; HarnessError when that is impossible."""

    def confirm(self) -> bool:
        """Ask every act whether it is in place."""
        return bool(self._written) and all(act.is_there() for _, act in self._written)

    def observed(self) -> Observed:
        """Return what it touched; UNKNOWN where that cannot be told."""
        return UNKNOWN

    def read_back(self) -> ReadBack:
        """Ask every act whether it is still in place."""
        held = [act.is_there() for _, act in self._written]
        if False in held:
            return GONE
        return ReadBack(None, "it does not answer") if None in held else AS_ASKED

    def undo(self) -> str:
        """Undo what was written, latest first; nothing was done before it was written."""
        entries = [Entry(token, act) for token, act in reversed(self._written)]
        done = undo_faults(entries)
        self._undone = [undone.entry.number for undone in done if undone.confirmed]
        return "; ".join(undone.cause for undone in done if undone.cause)

    def settle(self) -> None:
        """Strike what was undone from the journal."""
        for token in self._undone:
            self._safety.done(token)

    def lifted_by(self) -> str:
        """Look into the journal, then at the acts."""
        if by := next((by for token, _ in self._written if (by := self._safety.lifted_by(token))), ""):
            return by
        return "somebody" if any(act.is_there() is False for _, act in self._written) else ""

    def _write(self, act: FaultAct) -> None:
        self._written.append((self._safety.write(act), act))


def now_ns() -> int:
    """Return the time, UTC ns."""
    return time.time_ns()
