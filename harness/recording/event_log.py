"""events.jsonl, apart from the columnar tables: the reaper writes it too, and must not import much."""

import json
from pathlib import Path
from typing import TextIO

from harness.model.run.events import Event

EVENT_KEYS = ("time", "kind")
"""What every line of events.jsonl holds beside the event's own fields."""


class EventLog:
    """events.jsonl, opened for appending; each line is on its way to the disk when `append` returns.

    Several processes may append; a line that a killed writer left unfinished is ended first and spoils only itself.
    """

    def __init__(self, run: Path) -> None:
        path = run / "events.jsonl"
        torn = _is_torn(path)
        self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)
        if torn:
            self._file.write("\n")

    def append(self, event: Event) -> None:
        """Write one event as one line; a field whose name the line itself uses is written as `kind_` or `time_`."""
        fields = {f"{name}_" if name in EVENT_KEYS else name: value for name, value in event.fields.items()}
        self._file.write(json.dumps({"time": event.time_ns, "kind": event.kind.value, **fields}) + "\n")

    def close(self) -> None:
        """Close the file; further events are an error."""
        self._file.close()


def _is_torn(path: Path) -> bool:
    try:
        return path.read_bytes()[-1:] not in (b"", b"\n")
    except FileNotFoundError:
        return False
