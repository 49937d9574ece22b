"""What the undo journal can hold: acts, each plain data from which whoever reads it can roll it back."""

import signal
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.faults.safety import ours


@dataclass(frozen=True, slots=True)
class RunMark:
    """The run itself: every process that carries its id and its owner in the environment belongs to it."""

    what: ClassVar[str] = "run"
    run_id: str
    owner: str  # Identity of the harness
    folder: str
    anchor_utc_ns: int
    anchor_monotonic_ns: int
    record: str  # the file by which `harness recover` finds this run

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Say what in it the harness cannot have written; "" where all is well."""
        return ours.record_problem(self.record, self.run_id)


@dataclass(frozen=True, slots=True)
class ProcessMade:
    """A process and its group. The creation time tells it from a later process with the same pid."""

    what: ClassVar[str] = "process"
    name: str
    pid: int
    created_s: float
    stop_signal: int

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Say what in it the harness cannot have written; "" where all is well."""
        if self.stop_signal not in signal.valid_signals():
            return f"{self.stop_signal} is no signal"
        return ours.process_problem(self.pid, self.created_s)


@dataclass(frozen=True, slots=True)
class FolderMade:
    """A folder that is of no use without its run."""

    what: ClassVar[str] = "folder"
    path: str

    def problem(self, run: Path | None) -> str:
        """Say what in it the harness cannot have written; "" where all is well."""
        return ours.folder_problem(self.path, run)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line of a journal that cannot be read. It may stand for anything, so it counts as left behind."""

    what: ClassVar[str] = "unreadable"
    at: str  # file:line
    why: str

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Say where it is, and why it cannot be read."""
        return f"{self.at} cannot be read: {self.why}; what it stands for may still be in place"


@dataclass(frozen=True, slots=True)
class FaultAct(ABC):
    """A fault; everything that its undo needs stands in its fields, which are text and numbers."""

    what: ClassVar[str]
    fault: str

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, in words."""

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        """Say what in it the harness cannot have written, so that its undo is refused; "" where all is well.

        *run* is the folder of the journal that holds it, where that is known.
        """
        return ""

    @abstractmethod
    def heal(self, deadline_s: float) -> str:
        """Roll it back and look; return why it may still be there, "" once it is gone. May be repeated.

        *deadline_s* is a time of the monotonic clock; where the place itself is gone, so is the fault.
        """

    @abstractmethod
    def is_there(self) -> bool | None:
        """Say whether it is in place now; None where that is unknown. Takes half a second at most."""


Act = RunMark | ProcessMade | FolderMade | FaultAct | Unreadable
