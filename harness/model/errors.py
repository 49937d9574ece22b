"""Errors that a user can act on; each carries the exit code under which it ends the command."""

from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """The contract with scripts and CI; `harness --help` prints it."""

    HELD = 0
    BROKEN = 1
    UNKNOWN = 2
    COULD_NOT_RUN = 3
    USAGE = 4
    NOT_ROLLED_BACK = 5
    INTERRUPTED = 130


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.HELD: "the claim held",
    ExitCode.BROKEN: "a critical check failed",
    ExitCode.UNKNOWN: "it could not be decided; the cause is printed",
    ExitCode.COULD_NOT_RUN: "the harness or the target could not do its job",
    ExitCode.USAGE: "usage or scenario error; also when the selection matches nothing",
    ExitCode.NOT_ROLLED_BACK: "a rollback could not be confirmed: run `harness recover`",
    ExitCode.INTERRUPTED: "interrupted, after rollback",
}


class HarnessError(Exception):
    """A cause and a next step, in words for the user; never a bug of the harness."""

    exit_code = ExitCode.COULD_NOT_RUN

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(HarnessError):
    """The command line, a scenario or a target file asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class TargetError(HarnessError):
    """The system under test could not be started, reached or kept running."""


class RollbackError(HarnessError):
    """A fault may still be in place."""

    exit_code = ExitCode.NOT_ROLLED_BACK


class DamagedRecordingError(HarnessError):
    """A file of a recording cannot be what a harness wrote; it names the file, and the line where there are lines."""

    def __init__(self, path: Path, problem: str, *, line: int | None = None) -> None:
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{place}: damaged: {problem}; judge an intact copy of the recording")
        self.path = path


class UnforeseenError(HarnessError):
    """A bug of the harness: one line that names the file with the traceback."""
