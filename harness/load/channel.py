"""What the load process says to its parent: one JSON object a line on standard output."""

import json
from collections.abc import Callable, Mapping
from typing import TextIO

from harness.model.run.clock import Clock
from harness.model.run.events import Event, Kind, Value

Progress = Mapping[str, object]


class Channel:
    """The load process's end. Once the parent is gone, nothing more is said."""

    def __init__(self, stream: TextIO, clock: Clock, *, on_broken: Callable[[], None]) -> None:
        self._stream = stream
        self._clock = clock
        self._on_broken = on_broken
        self._broken = False

    def event(self, kind: Kind, **fields: Value) -> None:
        """Tell of an event that happens now."""
        self._say({"event": kind.value, "time": self._clock.now_ns(), "fields": fields})

    def progress(self, progress: Progress) -> None:
        """Tell what the last second brought."""
        self._say(progress)

    def _say(self, message: Mapping[str, object]) -> None:
        if self._broken:
            return
        try:
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._broken = True
            self._on_broken()


def read_message(line: bytes) -> Event | Progress | None:
    """Understand one line at the parent's end; None for anything that `Channel` did not write."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    if "event" in message:
        return Event(message["time"], Kind(message["event"]), message["fields"])
    return message if "progress" in message else None
