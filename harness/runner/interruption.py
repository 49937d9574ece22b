"""Signals: the first asks for a rollback and an end, the second for haste; neither skips the undo."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Whether the user wants the run to end, and how urgently."""

    def __init__(self) -> None:
        self.by: str | None = None
        self.urgent = asyncio.Event()
        self._on_change: list[Callable[[str], None]] = []

    def on_change(self, tell: Callable[[str], None]) -> None:
        """Call *tell* with a sentence for the user at each signal."""
        self._on_change.append(tell)

    def receive(self, name: str, task: "asyncio.Task[object]") -> None:
        """Note a signal; the first cancels *task*, later ones only make the rest hurry."""
        if self.by is None:
            self.by = name
            self._tell(f"{name}: rolling back and stopping; the recording is kept (again: hurry)")
            task.cancel()
        elif not self.urgent.is_set():
            self.urgent.set()
            self._tell(f"{name} again: not waiting for services to drain; faults are still undone")

    def _tell(self, sentence: str) -> None:
        for tell in self._on_change:
            tell(sentence)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn SIGINT, SIGTERM and SIGHUP into a cancellation of the current task."""
    loop, task, interruption = asyncio.get_running_loop(), asyncio.current_task(), Interruption()
    assert task is not None
    for number in _SIGNALS:
        loop.add_signal_handler(number, interruption.receive, number.name, task)
    try:
        yield interruption
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
