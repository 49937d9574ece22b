"""What the recorder itself says it lost, and what is missing or damaged among the recording's own files."""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.evidence.account.loss import ANY_FLOW, Loss, Signal
from harness.evidence.requests import Pair
from harness.model.run.events import Event, Kind
from harness.recording.columns import Table

if TYPE_CHECKING:
    from harness.evidence.facts import Facts

SPANS_AN_EXPORT = 512
"""An export that could not be read may hold as many spans as exporters send at once by default."""

ROWS_A_SEGMENT = 1_000
"""What a segment that is gone may have held: enough to leave no signal whole."""

_SEGMENT = re.compile(r"(?P<source>.+)-(?P<number>\d{5,})\.parquet")
_TABLES = {
    Table.REQUESTS: Signal.REQUESTS,
    Table.SPANS: Signal.SPANS,
    Table.METRICS: Signal.METRICS,
    Table.LEDGER: Signal.LEDGER,
    Table.LOGS: Signal.LOGS,
}


def told_losses(facts: "Facts") -> Iterator[Loss]:
    """Yield every `telemetry.lost`: it is told when the recorder ends, so what is missing may lack anywhere."""
    for event in facts.recording.events_of(Kind.TELEMETRY_LOST):
        what, count = event.text("what"), max(1, int(event.number("count")))
        signal = _signal_of(what)
        if signal is not None:
            rows = count * SPANS_AN_EXPORT if "export" in what else count
            yield Loss(signal, rows, f"{count:,} {what} were lost by the recorder")


def _signal_of(what: str) -> Signal | None:
    words = what.lower()
    if "event" in words:
        return Signal.EVENTS
    if "span" in words or "trace" in words:
        return Signal.SPANS
    return next((signal for signal in Signal if signal.value.rstrip("s") in words), None)


def missing_files(facts: "Facts") -> Iterator[Loss]:
    """Yield segments that the manifest or their own numbers say were there, and lines of events that cannot be read."""
    sealed = facts.recording.manifest.files
    for table, signal in _TABLES.items():
        folder = facts.recording.path / table.value
        there = {path.name for path in folder.glob("*.parquet")}
        listed = {name.partition("/")[2] for name in sealed if name.startswith(f"{table.value}/")}
        gone = sorted({name for name in listed if name.endswith(".parquet")} - there | _gaps(there))
        if gone:
            told = f"{len(gone)} segment{'s' if len(gone) > 1 else ''} of {table.value} missing: {', '.join(gone[:3])}"
            yield Loss(signal, ROWS_A_SEGMENT * len(gone), told)
    if torn := _torn_lines(facts):
        yield Loss(Signal.EVENTS, torn, f"{torn:,} lines of events.jsonl cannot be read")


def _gaps(names: set[str]) -> set[str]:
    """Return the segments that must have been there: each source numbers its own from 0 without a gap."""
    numbers: dict[str, set[int]] = {}
    for name in names:
        if match := _SEGMENT.fullmatch(name):
            numbers.setdefault(match["source"], set()).add(int(match["number"]))
    return {f"{source}-{n:05d}.parquet" for source, seen in numbers.items() for n in set(range(max(seen))) - seen}


def _torn_lines(facts: "Facts") -> int:
    """Count the lines that are no JSON; the last one may be a kill's work and counts only in a run that was closed."""
    path = facts.recording.path / "events.jsonl"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    if facts.recording.manifest.how is None:
        lines = lines[:-1]
    return sum(not _is_json(line) for line in lines if line.strip())


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def lost_reads(facts: "Facts") -> Iterator[Loss]:
    """Yield ledger rows that were read back, as `ledger.read` counts them, and are not recorded."""
    counted = {_place(e): int(e.number("keys")) for e in facts.recording.events_of(Kind.LEDGER_READ)}
    recorded = facts.ledger_rows("read")
    for (ledger, tenant), keys in counted.items():
        if (missing := keys - recorded.get((ledger, tenant), 0)) > 0:
            told = f"{keys:,} keys of {ledger} were read back for {tenant}, {keys - missing:,} are recorded"
            yield Loss(Signal.LEDGER, missing, told, pair=Pair(tenant, ANY_FLOW), about=ledger)


def _place(event: Event) -> tuple[str, str]:
    return event.text("ledger"), event.text("tenant")
