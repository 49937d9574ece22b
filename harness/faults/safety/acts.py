"""What the undo journal can hold: acts, each plain data from which it can be taken back by whoever reads it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar


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


@dataclass(frozen=True, slots=True)
class ProcessMade:
    """A process and its group. The creation time tells it from a later process with the same pid."""

    what: ClassVar[str] = "process"
    name: str
    pid: int
    created_s: float
    stop_signal: int


@dataclass(frozen=True, slots=True)
class FolderMade:
    """A folder that is of no use without its run."""

    what: ClassVar[str] = "folder"
    path: str


@dataclass(frozen=True, slots=True)
class FaultAct(ABC):
    """A fault; everything that its undo needs stands in its fields, which are text and numbers."""

    what: ClassVar[str]
    fault: str

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, in words."""

    @abstractmethod
    def heal(self, deadline_s: float) -> str:
        """Take it back and look; return why it may still be there, "" once it is gone. May be repeated.

        *deadline_s* is a time of the monotonic clock; what it stood in being gone means that it is gone, too.
        """

    @abstractmethod
    def is_there(self) -> bool | None:
        """Say whether it is in place now; None where that cannot be told. Takes half a second at most."""
