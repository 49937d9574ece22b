"""Numbers, times and verdicts as a person reads them; the same on the page and on the terminal."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.model.result.finding import Finding, Status, Verdict


@dataclass(frozen=True, slots=True)
class Mark:
    """A status in three ways at once, so that none of them has to be seen: symbol, word, colour class."""

    symbol: str
    word: str
    tone: str  # good, bad, unsure


VERDICT_MARKS = {
    Status.PASS: Mark("✓", "HELD", "good"),
    Status.FAIL: Mark("✕", "BROKEN", "bad"),
    Status.UNKNOWN: Mark("?", "UNKNOWN", "unsure"),
}
FINDING_MARKS = {
    Status.PASS: Mark("✓", "held", "good"),
    Status.FAIL: Mark("✕", "failed", "bad"),
    Status.UNKNOWN: Mark("?", "unknown", "unsure"),
    Status.NOT_EXERCISED: Mark("–", "not exercised", "unsure"),
}


def verdict_word(verdict: Verdict) -> str:
    """Return HELD, BROKEN, or UNKNOWN with its cause."""
    word = VERDICT_MARKS[verdict.status].word
    return f"{word}: {verdict.cause.value}" if verdict.status is Status.UNKNOWN and verdict.cause else word


def milliseconds(value_ms: float | None) -> str:
    """Write a latency with three significant digits: "3.21 ms", "87.4 ms", "1.50 s"; "never" if it is infinite."""
    if value_ms is None or math.isnan(value_ms):
        return "–"
    if math.isinf(value_ms):
        return "never"
    if value_ms >= 999.5:
        return f"{value_ms / 1000:.3g} s" if value_ms < 99_950 else f"{value_ms / 1000:,.0f} s"
    return f"{value_ms:.3g} ms"


def seconds(value_s: float) -> str:
    """Write a length of time: "0.8 s", "12 s", "3 min 20 s"."""
    if value_s < 10:
        return f"{value_s:.1f} s"
    if value_s < 120:
        return f"{value_s:.0f} s"
    return f"{value_s // 60:.0f} min {value_s % 60:.0f} s"


def share(value: float | None) -> str:
    """Write a fraction as a percentage that never rounds something to nothing: 0.0004 -> "0.04%"."""
    if value is None or math.isnan(value):
        return "–"
    percent = value * 100
    return "100%" if percent >= 100 else f"{min(percent, 99.9):.3g}%" if percent >= 1 else f"{percent:.2g}%"


def number(value: float | None) -> str:
    """Write a count with thousands apart."""
    return "–" if value is None else f"{value:,.0f}"


def times_limit(ratio: float) -> str:
    """Write an impact: "0.4×", "7×", "over 99×"."""
    if math.isnan(ratio):
        return "–"
    return "over 99×" if ratio > 99 else f"{ratio:.2g}×"


def offset(value_s: float) -> str:
    """Write a time on the run's own axis: "21.3 s"."""
    return f"{value_s:.1f} s"


def percent_of_width(value: float) -> str:
    """Write 0..1 as a CSS length."""
    return f"{value * 100:.3f}%"


def utc(time_ns: int) -> str:
    """Write a moment: "2026-11-21 05:14:09 UTC"."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def one_line(text: str) -> str:
    """Return *text* without line breaks and without anything that a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def count_of(amount: int, noun: str) -> str:
    """Write "1 check", "3 checks"."""
    return f"{amount:,} {noun if amount == 1 else noun + 's'}"


def window_text(finding: Finding, zero_ns: int | None) -> str:
    """Write the window of a finding on the run's own axis: "fault 20–40 s"."""
    window = finding.window
    if window is None:
        return "whole run"
    if zero_ns is None:
        return window.name
    begin, end = ((edge - zero_ns) / 1e9 for edge in (window.start_ns, window.end_ns))
    return f"{window.name} {begin:.0f}–{end:.0f} s"
