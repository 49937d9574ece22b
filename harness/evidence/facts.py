"""What checks ask of a run, computed when it is first asked for, once for all of them."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow.compute as pc

from harness.evidence.account.account import Bookkeeper
from harness.evidence.account.spans import SpanAccount, span_account
from harness.evidence.calls import Calls, load_calls
from harness.evidence.health import VoidTime, sound_rows, void_times
from harness.evidence.requests import Pair, RequestLog, Requests, at_entry, load_requests
from harness.evidence.servings import Servings, load_servings
from harness.model.files.faults import Fault
from harness.model.files.scenario import Phase
from harness.model.files.target import ends_of
from harness.model.result.finding import Cause, How, Window
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Kind
from harness.model.run.plan import Plan, fault_name
from harness.recording.columns import Table
from harness.recording.reader import Recording


class UndecidableError(Exception):
    """What a check needs was not recorded at all; the message tells a person, *cause* the verdict."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric."""

    time_ns: int
    service: str
    labels: Mapping[str, str]
    value: float


def links_of(plan: Plan, fault: Fault) -> list[str]:
    """Return the links on which *fault* shows: its own, or all that lead to its service."""
    if fault.link:
        return [fault.link]
    return [link for link in plan.target.links if ends_of(link)[1] == fault.service]


def faulted_links(plan: Plan) -> frozenset[str]:
    """Return every link on which a fault of *plan* shows."""
    return frozenset(link for fault in plan.scenario.faults for link in links_of(plan, fault))


class Facts:
    """One recording, asked by checks. Nothing is read before it is needed."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.plan: Plan = recording.plan

    # -- who and when ------------------------------------------------------------------------------------------------

    @property
    def seed(self) -> int:
        """Seed of everything random in judging: the same recording always gets the same verdict."""
        return self.plan.seed

    @property
    def loaded(self) -> tuple[Pair, ...]:
        """Every tenant's flow that has load, in the order of the plan."""
        return tuple(Pair(tenant, flow) for tenant, flows in self.plan.scenario.load.items() for flow in flows)

    @property
    def victims(self) -> tuple[Pair, ...]:
        """Those that the scenario allows to be hurt."""
        return tuple(pair for pair in self.loaded if pair in self.plan.victims())

    @property
    def bystanders(self) -> tuple[Pair, ...]:
        """All others."""
        return tuple(pair for pair in self.loaded if pair not in self.plan.victims())

    def phase(self, phase: Phase) -> Window:
        """Return when *phase* was; UndecidableError if the run never came to have phases."""
        window = self.recording.window(phase)
        if window is None:
            cause = Cause.LOAD_NOT_DELIVERED if self.recording.manifest.how is How.COMPLETED else Cause.INTERRUPTED
            raise UndecidableError(cause, "The load never started, so there are no phases to judge.")
        return window

    def fault_window(self, number: int) -> Window:
        """Return when fault *number* (from 0) was there: as it was done, else as it was planned."""
        zero_ns = self.phase(Phase.WARMUP).start_ns
        start_s, end_s = self.plan.fault_window_s(number)
        name = fault_name(number)
        applied, undone = self._moment(Kind.FAULT_APPLIED, name), self._moment(Kind.FAULT_UNDONE, name, last=True)
        start_ns = zero_ns + round(start_s * NS_PER_S) if applied is None else applied
        return Window(name, start_ns, zero_ns + round(end_s * NS_PER_S) if undone is None else undone)

    def planned_windows(self, number: int) -> tuple[Window, ...]:
        """Return when fault *number* (from 0) was to be there, repetition by repetition."""
        zero_ns = self.phase(Phase.WARMUP).start_ns
        edges = [
            (zero_ns + round(b * NS_PER_S), zero_ns + round(e * NS_PER_S)) for b, e in self.plan.fault_windows_s(number)
        ]
        return tuple(Window(fault_name(number), begin_ns, end_ns) for begin_ns, end_ns in edges)

    def fault_on(self, link: str) -> Window:
        """Return from when to when *link* was faulted; for a link without a fault, from the first fault to the last."""
        faults = self.plan.scenario.faults
        numbers = [n for n, fault in enumerate(faults) if link in self.links_of(fault)] or range(len(faults))
        windows = [self.fault_window(number) for number in numbers]
        return Window("fault", min(w.start_ns for w in windows), max(w.end_ns for w in windows))

    def links_of(self, fault: Fault) -> list[str]:
        """Return the links on which *fault* shows: its own, or all that lead to its service."""
        return links_of(self.plan, fault)

    @property
    def faults_end_ns(self) -> int:
        """When the last fault was gone."""
        return max(self.fault_window(number).end_ns for number in range(len(self.plan.scenario.faults)))

    def _moment(self, kind: Kind, fault: str, *, last: bool = False) -> int | None:
        moments = [e.time_ns for e in self.recording.events_of(kind) if e.text("fault") == fault]
        return (moments[-1] if last else moments[0]) if moments else None

    @cached_property
    def seen_until_ns(self) -> int:
        """Until when the run was seen: its end, or for a killed one its last request or event."""
        ended_ns = self.recording.manifest.ended_ns
        last_event_ns = self.recording.events[-1].time_ns if self.recording.events else 0
        return max(self.raw_requests.last_ns, last_event_ns) if ended_ns is None else ended_ns

    def offset_s(self, time_ns: int) -> float:
        """Return a moment on the run's own axis, in seconds after the load began."""
        return (time_ns - self.phase(Phase.WARMUP).start_ns) / NS_PER_S

    # -- what was observed -------------------------------------------------------------------------------------------

    @cached_property
    def raw_requests(self) -> RequestLog:
        """All requests, those in void time included."""
        return load_requests(self.recording)

    @cached_property
    def requests(self) -> RequestLog:
        """All requests but those that the harness, its load or its machine spoiled."""
        return RequestLog({p: sound_rows(rows, self.void) for p, rows in self.raw_requests.by_pair.items()})

    @cached_property
    def void(self) -> tuple[VoidTime, ...]:
        """The stretches of the run in which the harness, its load or its machine was not well."""
        return tuple(void_times(self))

    @cached_property
    def books(self) -> Bookkeeper:
        """How whole the recording is."""
        return Bookkeeper(self)

    @cached_property
    def first_asked_ns(self) -> int:
        """When the first fault was asked for: some bite before they are known to be there."""
        return min(self._asked_ns(number) for number in range(len(self.plan.scenario.faults)))

    def _asked_ns(self, number: int) -> int:
        asked_ns, there_ns = self._moment(Kind.FAULT_ASKED, fault_name(number)), self.fault_window(number).start_ns
        return there_ns if asked_ns is None else min(asked_ns, there_ns)

    @cached_property
    def everything(self) -> Requests:
        """All requests in one, in time order."""
        return self.requests.of(*self.requests.by_pair)

    @cached_property
    def raw_everything(self) -> Requests:
        """All requests in one, in time order, those in void time included."""
        return self.raw_requests.of(*self.raw_requests.by_pair)

    @cached_property
    def at_entry(self) -> Requests:
        """The requests that were sent to the entry, not straight to a service."""
        return at_entry(self.recording, self.raw_everything)

    @cached_property
    def span_account(self) -> SpanAccount:
        """What is missing among the spans, and whose clock is off; the spans themselves are not kept."""
        return span_account(self) if self.spans else SpanAccount((), {})

    @property
    def clock_offsets(self) -> Mapping[str, int]:
        """By how much a service's clock is ahead of the harness', ns; only those that are clearly off."""
        return self.span_account.offsets

    def span_count(self, window: Window | None, services: frozenset[str] = frozenset()) -> int:
        """Return how many spans begin in *window*, of *services* or of all."""
        where = pc.field("service").isin(list(services)) if services else None
        columns = self.recording.batches(Table.SPANS, ("start",), window=window, where=where)
        return sum(len(batch) for batch in columns)

    def ledger_rows(self, kind: str) -> Mapping[tuple[str, str], int]:
        """Return how many rows of one type each ledger has of each tenant; an acknowledgement written twice is one."""
        columns = ("ledger", "tenant", "key", "trace_id")
        frame = self.recording.frame(Table.LEDGER, columns, where=pc.field("type") == kind)
        rows = frame if kind == "read" else frame.drop_duplicates()
        return Counter(zip(rows["ledger"].astype(str), rows["tenant"].astype(str), strict=True))

    @cached_property
    def scrapes(self) -> Mapping[str, list[tuple[int, bool]]]:
        """When each service was asked for its metrics, and whether it answered."""
        found: dict[str, list[tuple[int, bool]]] = {}
        for sample in self.metric("up"):
            found.setdefault(sample.service, []).append((sample.time_ns, sample.value > 0))
        return found

    @cached_property
    def spans(self) -> int:
        """How many spans there are."""
        return self.recording.rows(Table.SPANS)

    def calls(self, link: str) -> Calls:
        """Return the calls over a link that a fault or a check of the plan names."""
        return self._calls[link]

    @cached_property
    def _calls(self) -> Mapping[str, Calls]:
        scenario = self.plan.scenario
        faulted = [link for fault in scenario.faults for link in self.links_of(fault)]
        asked = [link for entry in scenario.checks if (link := getattr(entry.spec, "link", None))]
        found = load_calls(self.recording, [*faulted, *asked])
        return {link: calls.moved(-self.clock_offsets.get(ends_of(link)[0], 0)) for link, calls in found.items()}

    def servings(self, service: str) -> Servings:
        """Return the server spans of one end of a link that a fault or a check of the plan names."""
        return self._servings.get(service, Servings.none())

    @cached_property
    def _servings(self) -> Mapping[str, Servings]:
        return load_servings(self.recording, {end for link in self._calls for end in ends_of(link)})

    def calls_in(self, link: str, window: Window) -> Calls:
        """Return the calls over *link* that began in *window*; UndecidableError without any."""
        found = self.calls(link).begun_in(window)
        if not len(found) and not self.spans:
            raise UndecidableError(Cause.TELEMETRY_LOST, "No spans were recorded: do the services export their traces?")
        if not len(found):
            message = f"No call over {link} was seen in the {window.name} window: give a flow that uses it some load."
            raise UndecidableError(Cause.NOT_OBSERVED, message)
        return found

    def metric(self, name: str, /, **labels: str) -> list[Sample]:
        """Return the samples of one metric whose labels are as asked, in time order."""
        columns = ("time", "service", "labels", "value")
        frame = self.recording.frame(Table.METRICS, columns, where=pc.field("name") == name)
        found = zip(*(frame[column].tolist() for column in columns), strict=True)
        samples = (Sample(time, service, json.loads(words or "{}"), value) for time, service, words, value in found)
        matching = (s for s in samples if all(s.labels.get(key) == value for key, value in labels.items()))
        return sorted(matching, key=lambda sample: sample.time_ns)

    def traces_of(self, kind: Kind, **fields: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
        """Return the trace ids of events of one kind whose fields are as asked, as rows of two words."""
        events = (e for e in self.recording.events_of(kind) if all(e.text(k) == v for k, v in fields.items()))
        ids = [bytes.fromhex(event.text("trace_id")) for event in events if event.text("trace_id")]
        return np.frombuffer(b"".join(i for i in ids if len(i) == 16), dtype=np.uint64).reshape(-1, 2)
