"""Units that are processes of this machine."""

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from harness.units.identity import Identity
from harness.units.unit import Limit, UnitError

SCHEME = "processes"
_RESOURCES = {Limit.MEMORY: psutil.RLIMIT_AS, Limit.FILES: psutil.RLIMIT_NOFILE}
_UNKNOWN = "-"
_FAILURES = (psutil.Error, OSError, ValueError)


def written(processes: Iterable[psutil.Process]) -> str:
    """Write processes down so that `identified` finds just these again."""
    return " ".join(str(Identity(process.pid, process.create_time())) for process in processes)


def identified(processes: str) -> Iterator[psutil.Process]:
    """Yield those of the written processes that still live."""
    for word in processes.split():
        identity = Identity.parse(word)
        if identity and (process := identity.process()):
            yield process


@dataclass(frozen=True, slots=True)
class Processes:
    """A unit of processes; see `Unit`."""

    members: tuple[Identity, ...]

    noun = "processes"

    @classmethod
    def of(cls, processes: Iterable[psutil.Process]) -> "Processes":
        """Return the unit of these processes; one that died meanwhile is left out."""
        return cls(tuple(found for process in processes if (found := Identity.of(process.pid))))

    @classmethod
    def parse(cls, words: str) -> "Processes":
        """Read what follows the scheme in `identity`; what is no identity is left out."""
        return cls(tuple(found for word in words.split() if (found := Identity.parse(word))))

    @property
    def identity(self) -> str:
        """The scheme, then each process as pid:created."""
        return " ".join([SCHEME, *map(str, self.members)])

    @property
    def size(self) -> int:
        """How many processes."""
        return len(self.members)

    def living(self) -> Sequence[str]:
        """Return the pids of those that live."""
        return [str(process.pid) for process in self._living()]

    def paused(self) -> Sequence[str]:
        """Return the pids of those that the kernel calls stopped."""
        return self._where(lambda process: process.status() == psutil.STATUS_STOPPED)

    def kill(self) -> None:
        """SIGKILL."""
        self._signal(signal.SIGKILL)

    def end(self) -> None:
        """SIGTERM."""
        self._signal(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def read_limit(self, limit: Limit) -> str:
        """Return soft/hard of each process, in the order of the members."""
        return " ".join(_read(member, _RESOURCES[limit]) for member in self.members)

    def lower_limit(self, limit: Limit, value: int) -> None:
        """Lower the soft limit of each; the hard one stays, so that the soft one can be raised again."""
        for process in self._living():
            try:
                process.rlimit(_RESOURCES[limit], (_within(process, limit, value), _hard(process, limit)))
            except psutil.NoSuchProcess:
                continue
            except _FAILURES as problem:
                msg = f"the {limit.value} limit of process {process.pid} cannot be lowered: {problem}"
                raise UnitError(msg) from None

    def limited(self, limit: Limit, value: int) -> Sequence[str]:
        """Return the pids of those whose soft limit is *value*, or their hard limit where that is lower."""
        return self._where(
            lambda process: process.rlimit(_RESOURCES[limit])[0] == _within(process, limit, value),
        )

    def restore_limit(self, limit: Limit, before: str) -> str:
        """Set soft and hard limit of each back."""
        pairs = zip(self.members, before.split(), strict=False)
        return "; ".join(cause for member, pair in pairs if (cause := _restore(member, limit, pair)))

    def _living(self) -> Iterator[psutil.Process]:
        return (process for member in self.members if (process := member.process()))

    def _where(self, holds: Callable[[psutil.Process], bool]) -> Sequence[str]:
        found = []
        for process in self._living():
            with contextlib.suppress(psutil.Error):
                if holds(process):
                    found.append(str(process.pid))
        return found

    def _signal(self, number: int) -> None:
        for process in self._living():
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)


def _read(member: Identity, resource: int) -> str:
    process = member.process()
    with contextlib.suppress(psutil.Error):
        if process:
            return "/".join(map(str, process.rlimit(resource)))
    return _UNKNOWN


def _hard(process: psutil.Process, limit: Limit) -> Any:
    return process.rlimit(_RESOURCES[limit])[1]


def _within(process: psutil.Process, limit: Limit, value: int) -> int:
    hard = int(_hard(process, limit))
    return value if hard == psutil.RLIM_INFINITY else min(value, hard)


def _restore(member: Identity, limit: Limit, pair: str) -> str:
    process = member.process()
    if process is None or pair == _UNKNOWN:
        return ""
    try:
        soft, hard = map(int, pair.split("/"))
        process.rlimit(_RESOURCES[limit], (soft, hard))
    except psutil.NoSuchProcess:
        return ""
    except _FAILURES as problem:
        return f"the {limit.value} limit of process {process.pid} cannot be raised again: {problem}"
    return ""
