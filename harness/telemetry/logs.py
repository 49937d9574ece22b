"""The services' own logs, made a table when the run is over: JSON lines where they are, plain text where not."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from harness.model.run.clock import NS_PER_S
from harness.recording.columns import Table
from harness.recording.writer import SegmentWriter

RAW_LOGS = "logs-raw"
_LONGEST_LINE = 64 * 1024
_KNOWN = ("time", "timestamp", "severity", "level", "service", "body", "message", "trace_id", "span_id", "tenant")
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)? ?(Z|UTC|GMT|[+-]\d\d:?\d\d)?", re.ASCII
)
_POSTGRES = re.compile(r"\[\d+\](?: \S+)?? (?P<severity>[A-Z]+\d?): +(?P<body>.*)")
_PLAIN = re.compile(
    r"(?:\[?(?P<severity>DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|PANIC)\]?[:\s] *)?(?P<body>.*)"
)
_HEX_TRACE = re.compile(r"[0-9a-f]{32}")
_SEVERITIES = {
    "LOG": "INFO",
    "HINT": "INFO",
    "DETAIL": "INFO",
    "STATEMENT": "INFO",
    "WARN": "WARNING",
    "NOTICE": "INFO",
}

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class LogsSoFar:
    """How long the logs in a folder are already, by file name: what stands there is of an earlier time."""

    folder: Path
    lengths: Mapping[str, int]

    @classmethod
    def of(cls, folder: Path) -> "LogsSoFar":
        """Look at the logs now; a folder that does not exist yet has none."""
        return cls(folder, {path.name: path.stat().st_size for path in folder.glob("*.log")})


def collect_logs(run: Path, also: LogsSoFar | None = None) -> None:
    """Turn every `logs-raw/<service>.log` of a recording into rows, in bounded memory.

    A line without a time of its own has that of the line before it, the first ones that of the file's last change.
    *also* are logs that a standing stack writes elsewhere; what came since is taken.

    Raises:
        OSError: the disk is full.
    """
    writer = SegmentWriter(run, Table.LOGS, source="services")
    own = run / RAW_LOGS
    for path in sorted(own.glob("*.log")):
        _collect(path, writer)
    if also is not None and also.folder != own:
        for path in sorted(also.folder.glob("*.log")):
            _collect(path, writer, skip_bytes=also.lengths.get(path.name, 0))
    writer.flush()


def _collect(path: Path, writer: SegmentWriter, *, skip_bytes: int = 0) -> None:
    with path.open("rb") as file:
        file.seek(skip_bytes)
        for row in _rows(file, service=path.stem, time_ns=path.stat().st_mtime_ns):
            writer.append(row)


def _rows(file: BinaryIO, *, service: str, time_ns: int) -> Iterator[Row]:
    while raw := file.readline(_LONGEST_LINE):
        line = raw.decode(errors="replace").rstrip()
        if line.strip():
            row = _json_row(line, service, time_ns) or _plain_row(line, service, time_ns)
            time_ns = row[0]
            yield row


def _json_row(line: str, service: str, time_ns: int) -> Row | None:
    content = _parse(line) if line.startswith("{") else None
    if not isinstance(content, dict):
        return None
    return (
        _time_ns(str(content.get("time", content.get("timestamp", "")))) or time_ns,
        service,
        _severity(str(content.get("severity", content.get("level", "INFO")))),
        _body(content),
        _trace_id(content.get("trace_id")),
        str(content["tenant"]) if content.get("tenant") else None,
    )


def _plain_row(line: str, service: str, time_ns: int) -> Row:
    stamp = _RFC3339.match(line)
    own_ns = _time_ns(stamp[0]) if stamp else None
    rest = line[stamp.end() :].strip() if stamp and own_ns else line
    match = _POSTGRES.match(rest) or _PLAIN.match(rest)
    severity = match["severity"] if match and match["severity"] else "INFO"
    return (own_ns or time_ns, service, _severity(severity), match["body"] if match else rest, None, None)


def _body(content: dict[str, Any]) -> str:
    """Return the message, followed by what else the line holds."""
    said = str(content.get("body", content.get("message", "")))
    rest = [f"{name}={value}" for name, value in content.items() if name not in _KNOWN and value not in (None, "")]
    return " ".join([said, *rest]).strip()


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _time_ns(written: str) -> int | None:
    """Read "2026-11-21T05:54:49.123456789Z" and its like to the nanosecond; a time without a zone is UTC."""
    match = _RFC3339.match(written)
    if not match:
        return None
    zone = (match[4] or "Z").replace("UTC", "Z").replace("GMT", "Z")
    try:
        seconds = datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}").timestamp()
    except (ValueError, OverflowError):
        return None
    return int(seconds) * NS_PER_S + int((match[3] or "0").ljust(9, "0"))


def _severity(written: str) -> str:
    name = written.upper()[:16]
    return _SEVERITIES.get(name, "DEBUG" if name.startswith("DEBUG") else name)


def _trace_id(written: Any) -> bytes | None:
    text = str(written or "").lower()
    return bytes.fromhex(text) if _HEX_TRACE.fullmatch(text) else None
