"""events.jsonl, apart from the columnar tables: the reaper writes it too, and must not import much."""

import io
import json
import math
import os
from pathlib import Path

from harness.model.run.events import Event, Value
from harness.recording.files import open_to_append, read_bytes

EVENT_KEYS = ("time", "kind")
"""What every line of events.jsonl holds beside the event's own fields."""

EVENTS = "events.jsonl"
AFTERWARDS = "recovered.jsonl"
"""What is told of a run after its files were hashed: `harness recover` undid what the run could not."""


class EventLog:
    """The events of a run, opened for appending; each line is on its way to the disk when `append` returns.

    Several processes may append, and threads: a line is written at once. A line that a killed writer left unfinished is
    ended first and spoils only itself. Once the run is sealed, events go to a file of their own.
    """

    def __init__(self, run: Path) -> None:
        path = run / (AFTERWARDS if is_sealed(run) else EVENTS)
        self._file: io.RawIOBase = os.fdopen(open_to_append(path), "r+b", buffering=0)

    def append(self, event: Event) -> None:
        """Write one event as one line; a field whose name the line itself uses is written as `kind_` or `time_`.

        Raises:
            OSError: it could not be written whole.
        """
        fields = {f"{name}_" if name in EVENT_KEYS else name: _plain(value) for name, value in event.fields.items()}
        line = json.dumps({"time": event.time_ns, "kind": event.kind.value, **fields}).encode() + b"\n"
        descriptor = self._file.fileno()
        if _is_torn(descriptor):
            line = b"\n" + line
        if os.write(descriptor, line) != len(line):
            msg = "the disk is full"
            raise OSError(msg)

    def close(self) -> None:
        """Close the file; further events are an error."""
        self._file.close()


def is_sealed(run: Path) -> bool:
    """Say whether the run is over and its files are hashed; run.json is not otherwise looked at."""
    try:
        content = json.loads(read_bytes(run / "run.json"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and bool(content.get("files"))


def _plain(value: Value) -> Value:
    """JSON has no NaN and no infinity: a measure that is neither was not measured."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
