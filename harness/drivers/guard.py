"""What a driver tells before or right after it starts something, so that it is undone whatever happens."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from harness.model.run.events import Event

Emit = Callable[[Event], None]
Token = int


class Guard(Protocol):
    """Stands behind the driver: what it was told of is undone even when this process dies."""

    @property
    def marker(self) -> Mapping[str, str]:
        """What every started process must have in its environment."""
        ...

    def process(self, pid: int, name: str, *, stop_signal: int) -> Token:
        """Watch over a process that was just started and leads its group."""
        ...

    def folder(self, path: Path) -> Token:
        """Remove *path*, whose name starts with "harness-"."""
        ...

    def proxy(self, api: str) -> None:
        """Keep the lease of the embedded fault proxy at *api*."""
        ...

    def undo(self, token: Token) -> bool:
        """Undo what was told now, for instance remove a folder; return whether that is confirmed."""
        ...

    def done(self, token: Token) -> None:
        """What was told is undone already."""
        ...
