"""The undo journal: what has to be undone is written down before it is done. Readable after a kill at any byte."""

import json
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from harness.faults.acts_catalogue import is_registered
from harness.faults.safety.acts import Act, FaultAct, Unreadable
from harness.faults.safety.journal_lines import (
    HALTED,
    RESERVED,
    TORN,
    VERSION,
    UnreadableLineError,
    act_in,
    is_cut_off,
    marked,
    parsed,
)
from harness.model.errors import HarnessError

_LARGEST_BYTES = 1024 * 1024 * 1024
_LONGEST_LINE_BYTES = 1024 * 1024


class UnregisteredActError(HarnessError, TypeError):
    """An act whose undo nobody would find: it must not be done."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One act under its number; numbers count from 0 within a journal, and are negative where a line has none.

    A *lifted* fault was rolled back while its harness missed its heartbeats. The harness may place it once more when it
    wakes up in the middle of doing so; therefore it stays on the list until the harness, or its death, settles it.
    `lifted_by` says who rolled it back.
    """

    number: int
    act: Act
    lifted_by: str = ""
    run: Path | None = field(default=None, compare=False)

    @property
    def lifted(self) -> bool:
        """True where somebody rolled it back before its time."""
        return bool(self.lifted_by)

    @property
    def is_fault(self) -> bool:
        """True where a fault may be behind it; a line that cannot be read may stand for one."""
        return isinstance(self.act, FaultAct | Unreadable)

    @property
    def problem(self) -> str:
        """Why its undo is refused: it cannot be read, or the harness cannot have written it; "" where all is well."""
        return self.act.problem(self.run)


class Journal:
    """The writing end. Several processes may hold one; only the harness writes acts, everybody writes done marks."""

    def __init__(self, path: Path, *, next_number: int = 0, new: bool = False) -> None:
        """Open the journal at *path*, or make it; a *new* one must not be there yet. Links are not followed."""
        self.path = path
        self._next = next_number
        self._lock = threading.Lock()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_EXCL if new else 0)
        self._file = os.open(path, flags, 0o600)
        self._before = _mends(self._file)

    def write(self, act: Act) -> int:
        """Write an act that is about to be done; it is safe when this returns. Return its number.

        Raises:
            OSError: the disk is full; the act must not be done.
            UnregisteredActError: whoever reads the journal could not undo it; it must not be done.
        """
        with self._lock:
            number = self._next
            content = {"number": number, "what": act.what, "version": VERSION, **asdict(act)}
            _check_it_can_be_read(act, content)
            self._append(content)
            self._next += 1
        if isinstance(act, FaultAct):
            os.fsync(self._file)  # a fault in a proxy on another machine outlives even a power cut of this one
        return number

    def mark_done(self, number: int) -> None:
        """Write that an act is undone, and that this was confirmed."""
        with self._lock:
            self._append({"done": number})

    def mark_lifted(self, number: int, by: str) -> None:
        """Write that *by* has rolled a fault back before its time."""
        with self._lock:
            self._append({"lifted": number, "by": by})

    def mark_halted(self) -> None:
        """Write that no fault may be placed from now on."""
        with self._lock:
            self._append(HALTED)

    def close(self) -> None:
        """Close the file; further writes are an error."""
        os.close(self._file)

    def _append(self, content: dict[str, Any]) -> None:
        line = self._before + json.dumps(content).encode() + b"\n"
        is_whole = os.write(self._file, line) == len(line)
        self._before = b"" if is_whole else _mends(self._file)
        if not is_whole:
            msg = f"{self.path}: the disk is full"
            raise OSError(msg)


def _check_it_can_be_read(act: Act, content: dict[str, Any]) -> None:
    why = ""
    if not is_registered(type(act)):
        why = "no fault kind declares this act"
    elif clash := RESERVED & {field.name for field in fields(act)}:
        why = f"a field must not be called {min(clash)!r}"
    else:
        try:
            if act_in(json.loads(json.dumps(content))) != act:
                why = "it reads back as something else"
        except (UnreadableLineError, TypeError, ValueError) as problem:
            why = str(problem)
    if why:
        msg = f"{type(act).__name__} ({act.what!r}) is not written to the undo journal, so it must not be done: {why}"
        raise UnregisteredActError(msg, hint="name it among the `acts` of its kind; fields are text and numbers")


def _mends(descriptor: int) -> bytes:
    """Return what must stand between a last line without an end and the next one."""
    size = os.fstat(descriptor).st_size
    read = min(size, _LONGEST_LINE_BYTES)
    last = os.pread(descriptor, read, size - read).rpartition(b"\n")[2]
    if not last:
        return b""
    return b"\n" + json.dumps(TORN).encode() + b"\n" if is_cut_off(last) else b"\n"


def outstanding(path: Path) -> list[Entry]:
    """Return what is not marked as undone, latest first; a journal that does not exist holds nothing.

    A line that cannot be read is outstanding too, whatever it was; a journal that cannot be read is one such line.
    """
    entries: list[Entry] = []
    for number, content in _read(path):
        if isinstance(content, Unreadable):
            entries.append(Entry(-number, content, run=path.parent))
        elif content == TORN:
            _forget_cut_off(entries, number - 1)
        elif "done" in content:
            _forget(entries, content["done"])
        elif "lifted" in content:
            by = str(content.get("by") or "reaper")
            entries = [replace(e, lifted_by=by) if e.number == content["lifted"] else e for e in entries]
        elif content != HALTED:
            entries.append(_entry_of(content, path, number))
    return entries[::-1]


def _entry_of(content: dict[str, Any], path: Path, line: int) -> Entry:
    try:
        return Entry(content["number"], act_in(content), run=path.parent)
    except UnreadableLineError as problem:
        return Entry(-line, Unreadable(f"{path}:{line}", str(problem)), run=path.parent)


def _forget(entries: list[Entry], number: int) -> None:
    """Strike the latest entry of this number; should a number have been used twice, the other one stays."""
    for index in range(len(entries) - 1, -1, -1):
        if entries[index].number == number:
            del entries[index]
            return


def _forget_cut_off(entries: list[Entry], line: int) -> None:
    """Strike the line that a kill had cut off, before its act: whoever wrote next has said so."""
    if entries and entries[-1].number == -line and isinstance(entries[-1].act, Unreadable):
        del entries[-1]


def is_halted(path: Path) -> bool:
    """Say whether somebody has asked that no more faults are placed."""
    return any(content == HALTED for _, content in _read(path))


def _read(path: Path) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
    """Yield each line with its number from 1, parsed; not a last one that a kill cut off, before its act."""
    try:
        raw = _bytes_of(path)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as problem:
        yield 1, Unreadable(f"{path}:1", getattr(problem, "strerror", None) or str(problem))
        return
    lines = raw.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip() or (number == len(lines) and is_cut_off(line)):
            continue
        try:
            yield number, marked(parsed(line))
        except UnreadableLineError as problem:
            yield number, Unreadable(f"{path}:{number}", str(problem))


def _bytes_of(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            msg = "it is not a file"
            raise ValueError(msg)
        if about.st_uid != os.geteuid():
            msg = "it belongs to another user"
            raise ValueError(msg)
        if about.st_size > _LARGEST_BYTES:
            msg = f"it is larger than {_LARGEST_BYTES // 2**20} MiB"
            raise ValueError(msg)
        return file.read()
