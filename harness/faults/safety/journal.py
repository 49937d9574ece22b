"""The undo journal: what has to be undone is written down before it is done. Readable after a kill at any byte."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from harness.faults.kinds.broker_acts import MessagesPublished
from harness.faults.kinds.database_acts import IndexDropped
from harness.faults.kinds.flag_acts import FlagSet
from harness.faults.kinds.kernel_acts import TableMade
from harness.faults.kinds.link_acts import LinkDown, RulePlaced, ToxicPlaced
from harness.faults.kinds.process_acts import HelperStarted, LimitLowered, ProcessesKilled, ProcessesPaused
from harness.faults.safety.acts import FaultAct, FolderMade, ProcessMade, RunMark

__all__ = [
    "Act",
    "Entry",
    "FaultAct",
    "FolderMade",
    "Journal",
    "LinkDown",
    "ProcessMade",
    "RulePlaced",
    "RunMark",
    "ToxicPlaced",
]


Act = RunMark | ProcessMade | FolderMade | FaultAct

_ACTS: dict[str, type[Act]] = {
    act.what: act
    for act in (
        RunMark,
        ProcessMade,
        FolderMade,
        ToxicPlaced,
        LinkDown,
        RulePlaced,
        ProcessesKilled,
        ProcessesPaused,
        LimitLowered,
        HelperStarted,
        IndexDropped,
        FlagSet,
        MessagesPublished,
        TableMade,
    )
}


_HALTED = {"halted": True}


@dataclass(frozen=True, slots=True)
class Entry:
    """One act under its number; numbers count from 0 within a journal.

    A *lifted* fault was taken back while its harness did not breathe. The harness may place it once more when it wakes
    up in the middle of doing so; therefore it stays on the list until the harness, or its death, settles it.
    `lifted_by` says who took it back.
    """

    number: int
    act: Act
    lifted_by: str = ""

    @property
    def lifted(self) -> bool:
        """True where somebody took it back before its time."""
        return bool(self.lifted_by)


class Journal:
    """The writing end. Several processes may hold one; only the harness writes acts, everybody writes done marks."""

    def __init__(self, path: Path, *, next_number: int = 0) -> None:
        self.path = path
        self._next = next_number
        self._lock = threading.Lock()
        torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if torn:
            os.write(self._file, b"\n")

    def write(self, act: Act) -> int:
        """Write an act that is about to be done; it is safe when this returns. Return its number.

        Raises:
            OSError: the disk is full; the act must not be done.
        """
        with self._lock:
            number = self._next
            self._append({"number": number, "what": act.what, **asdict(act)})
            self._next += 1
        if isinstance(act, FaultAct):
            os.fsync(self._file)  # a fault in a proxy on another machine outlives even a power cut of this one
        return number

    def mark_done(self, number: int) -> None:
        """Write that an act is undone, and that this was confirmed."""
        with self._lock:
            self._append({"done": number})

    def mark_lifted(self, number: int, by: str) -> None:
        """Write that *by* has taken a fault back before its time."""
        with self._lock:
            self._append({"lifted": number, "by": by})

    def mark_halted(self) -> None:
        """Write that no fault may be placed from now on."""
        with self._lock:
            self._append(_HALTED)

    def close(self) -> None:
        """Close the file; further writes are an error."""
        os.close(self._file)

    def _append(self, content: dict[str, Any]) -> None:
        line = json.dumps(content).encode() + b"\n"
        if os.write(self._file, line) != len(line):
            msg = f"{self.path}: the disk is full"
            raise OSError(msg)


def outstanding(path: Path) -> list[Entry]:
    """Return what is not marked as undone, latest first; a journal that does not exist holds nothing."""
    entries: dict[int, Entry] = {}
    for content in _read(path):
        if "done" in content:
            entries.pop(content["done"], None)
        elif content.get("lifted") in entries:
            by = str(content.get("by") or "reaper")
            entries[content["lifted"]] = replace(entries[content["lifted"]], lifted_by=by)
        elif entry := _parse(content):
            entries[entry.number] = entry
    return sorted(entries.values(), key=lambda entry: -entry.number)


def is_halted(path: Path) -> bool:
    """Say whether somebody has asked that no more faults are placed."""
    return any(content == _HALTED for content in _read(path))


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines that can be read; one that cannot was cut by a kill, before its act."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return
    for line in raw.split(b"\n"):
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict):
            yield content


def _parse(content: dict[str, Any]) -> Entry | None:
    act = _ACTS.get(str(content.get("what")))
    if act is None or not isinstance(content.get("number"), int):
        return None
    try:
        return Entry(content["number"], act(**{field.name: content[field.name] for field in fields(act)}))
    except KeyError:
        return None
