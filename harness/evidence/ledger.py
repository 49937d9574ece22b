"""The history of writes as the clients saw it, and what the target gave back: one tenant's side of one ledger.

The model is Jepsen's (checkers `set` and `set-full`, https://github.com/jepsen-io/jepsen): each write is invoked and
ends as ok, fail or unknown; reads say what is there. Nothing here judges.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pandas as pd

from harness.evidence.facts import Facts
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Event, Kind
from harness.recording.columns import Table

_COLUMNS = ("time", "type", "ledger", "tenant", "key", "value", "trace_id")


@dataclass(frozen=True, slots=True)
class Write:
    """One way in which one write ended, or that it began: when, and in which trace."""

    time_ns: int
    trace: bytes | None


@dataclass(frozen=True, slots=True)
class Read:
    """One complete or incomplete reading of the ledger: how often each key was there."""

    time_ns: int
    counts: Mapping[str, int]
    answered: bool  # the target gave everything that it holds
    told: int = 0  # how many keys the reader counted itself

    @property
    def rows(self) -> int:
        """How many keys there are, each as often as it was read."""
        return sum(self.counts.values())

    @property
    def is_complete(self) -> bool:
        """The target gave everything, and all of it is in the recording."""
        return self.answered and self.rows >= self.told


@dataclass(frozen=True, slots=True)
class History:
    """What one tenant wrote to a ledger, and what was read of it, reads in time order."""

    tenant: str
    invoked: Mapping[str, Sequence[Write]] = field(default_factory=dict)
    acknowledged: Mapping[str, Sequence[Write]] = field(default_factory=dict)
    refused: Mapping[str, Sequence[Write]] = field(default_factory=dict)
    unknown: Mapping[str, Sequence[Write]] = field(default_factory=dict)
    before: frozenset[str] = frozenset()  # keys that were there before the run wrote anything
    reads: Sequence[Read] = ()

    @property
    def final(self) -> Read | None:
        """The last reading; None without any."""
        return self.reads[-1] if self.reads else None

    @property
    def held(self) -> Mapping[str, int]:
        """How often each key was there in the last reading."""
        return self.final.counts if self.final else {}

    def trace_of(self, key: str) -> bytes | None:
        """Return the trace in which *key* was acknowledged, else refused, else written."""
        for writes in (self.acknowledged, self.refused, self.unknown, self.invoked):
            for write in writes.get(key, ()):
                if write.trace:
                    return write.trace
        return None


def lost(history: History) -> list[str]:
    """Acknowledged, and missing in the last complete reading. Only that is lost: an unknown write may be missing."""
    final = history.final
    return sorted(history.acknowledged.keys() - final.counts.keys()) if final and final.is_complete else []


def duplicated(history: History) -> list[str]:
    """There more than once in one reading."""
    return sorted({key for read in history.reads for key, times in read.counts.items() if times > 1})


def unexpected(history: History) -> list[str]:
    """There, though this run never wrote it and it was not there before."""
    written = history.invoked.keys() | history.acknowledged.keys() | history.refused.keys() | history.unknown.keys()
    return sorted({key for read in history.reads for key in read.counts} - written - history.before)


def refused_but_there(history: History) -> list[str]:
    """Refused for certain and never acknowledged, and there all the same."""
    seen = {key for read in history.reads for key in read.counts}
    return sorted((history.refused.keys() - history.acknowledged.keys() - history.unknown.keys()) & seen)


def acknowledged_twice(history: History) -> list[str]:
    """Acknowledged in more than one request: two clients were told that the same key is theirs.

    The same row twice (an export that was sent again) counts once.
    """
    answers = {key: {(write.trace, write.time_ns) for write in writes} for key, writes in history.acknowledged.items()}
    return sorted(key for key, found in answers.items() if len({trace for trace, _ in found}) > 1)


def recovered(history: History) -> list[str]:
    """Ended as unknown, and there: the write was done, only the answer was lost."""
    return sorted((history.unknown.keys() - history.acknowledged.keys()) & history.held.keys())


def vanished(history: History) -> list[str]:
    """There in one complete reading, and missing in a later complete one: reads went back in time."""
    complete = [read for read in history.reads if read.is_complete]
    gone: set[str] = set()
    for earlier, later in pairwise(complete):
        gone |= earlier.counts.keys() - later.counts.keys()
    return sorted(gone)


def staleness_s(history: History) -> dict[str, float]:
    """Return for each acknowledged key that a later complete reading missed how long it stayed away, in seconds.

    From its acknowledgement to the first reading from which on it was always there; a key that is lost is not in it.
    """
    complete = [read for read in history.reads if read.is_complete]
    found: dict[str, float] = {}
    for key, writes in history.acknowledged.items():
        told_ns = min(write.time_ns for write in writes)
        after = [read for read in complete if read.time_ns > told_ns]
        missing = [read for read in after if key not in read.counts]
        back = [read for read in after if key in read.counts and (not missing or read.time_ns > missing[-1].time_ns)]
        if missing and back:
            found[key] = (back[0].time_ns - told_ns) / NS_PER_S
    return found


def histories_of(facts: Facts, ledger: str) -> list[History]:
    """Return the history of each tenant that writes to *ledger*, or to the ledger that it is made of."""
    source = facts.plan.target.ledgers[ledger].of or ledger
    frame = facts.recording.frame(Table.LEDGER, _COLUMNS)
    is_read = frame["type"].isin(("read", "before"))
    mine = frame[(is_read & (frame["ledger"] == ledger)) | (~is_read & (frame["ledger"] == source))]
    ends = facts.recording.events_of(Kind.LEDGER_READ)
    return [
        _history(tenant, mine[mine["tenant"] == tenant], [e for e in ends if _is_of(e, ledger, tenant)])
        for tenant in writers(facts, source)
    ]


def writers(facts: Facts, ledger: str) -> list[str]:
    """Return the tenants that have load on a flow which writes this ledger."""
    flows = facts.plan.target.flows
    writing = {flow for flow, spec in flows.items() if any(s.ledger and s.ledger.name == ledger for s in spec.steps)}
    return list(dict.fromkeys(pair.tenant for pair in facts.loaded if pair.flow in writing))


def _is_of(event: Event, ledger: str, tenant: str) -> bool:
    return event.text("ledger") == ledger and event.text("tenant") == tenant


def _history(tenant: str, frame: pd.DataFrame, ends: Sequence[Event]) -> History:
    parts = {str(kind): rows for kind, rows in frame.groupby("type", observed=True)}
    read = parts.get("read")
    return History(
        tenant,
        invoked=_writes(parts.get("invoke")),
        acknowledged=_writes(parts.get("ok")),
        refused=_writes(parts.get("fail")),
        unknown=_writes(parts.get("unknown")),
        before=frozenset(str(key) for key in parts["before"]["key"]) if "before" in parts else frozenset(),
        reads=_reads([] if read is None else zip(read["time"], read["key"], strict=True), ends),
    )


def _writes(rows: pd.DataFrame | None) -> dict[str, list[Write]]:
    found: dict[str, list[Write]] = {}
    if rows is not None:
        for time_ns, key, trace in zip(rows["time"], rows["key"], rows["trace_id"], strict=True):
            found.setdefault(str(key), []).append(Write(int(time_ns), trace))
    return found


def _reads(rows: Iterable[tuple[int, str]], ends: Sequence[Event]) -> list[Read]:
    """Group the keys by the reading that they belong to: each ends with an event; without one nothing is complete."""
    found = list(rows)
    if not ends:
        last_ns = max((int(time_ns) for time_ns, _ in found), default=0)
        return [Read(last_ns, Counter(str(key) for _, key in found), answered=False)] if found else []
    closing = [event.time_ns for event in ends]
    groups: list[list[str]] = [[] for _ in ends]
    for time_ns, key in found:
        groups[min(bisect_left(closing, int(time_ns)), len(ends) - 1)].append(str(key))
    return [
        Read(event.time_ns, Counter(keys), event.fields.get("complete") is True, int(event.number("keys")))
        for event, keys in zip(ends, groups, strict=True)
    ]
