"""Reading Prometheus and OpenMetrics text: samples line by line, most lines passed over at a glance.

prometheus_client's own parser takes about ten times as long, which is too much for every service each second.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

KEPT = ("resilience_", "http_", "process_", "postgres_")
_DROPPED_ENDINGS = ("_bucket", "_created")
_DROPPED = frozenset(("process_resident_memory_bytes", "process_cpu_seconds_total"))  # host.py measures these of all
_LABELS = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
_LABEL_SET = re.compile(r'\{((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\}')
_ESCAPE = re.compile(r"\\(.)")
_MOST_CACHED = 100_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series; labels as JSON with sorted keys."""

    name: str
    labels: str
    value: float


class Exposition:
    """Parses one service's answers; remembers label sets, which come again each second."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {"": "{}"}

    def samples(self, text: str) -> Iterator[Sample]:
        """Yield the samples that are kept: counters, gauges, sums, counts. Lines that make no sense are passed over."""
        for line in text.split("\n"):  # a label may hold any other kind of line end
            if not line.startswith(KEPT):
                continue
            name = line[: line.index("{")] if "{" in line else line.partition(" ")[0]
            if name.endswith(_DROPPED_ENDINGS) or name in _DROPPED:
                continue
            sample = self._sample(name, line[len(name) :])
            if sample:
                yield sample

    def _sample(self, name: str, rest: str) -> Sample | None:
        written = ""
        if rest.startswith("{"):
            found = _LABEL_SET.match(rest)
            if not found:
                return None
            written, rest = found[1], rest[found.end() :]
        try:
            return Sample(name.strip(), self._json(written), float(rest.split(None, 1)[0]))
        except (IndexError, ValueError):
            return None

    def _json(self, written: str) -> str:
        known = self._labels.get(written)
        if known is None:
            labels = {name: _ESCAPE.sub(_unescape, value) for name, value in _LABELS.findall(written)}
            known = json.dumps(labels, sort_keys=True, ensure_ascii=False)
            if len(self._labels) < _MOST_CACHED:
                self._labels[written] = known
        return known


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
