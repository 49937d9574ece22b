"""Playing one arrival: the steps of its flow, one after the other, until one fails."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from harness.load.answer import Answer, judge, ledger_type
from harness.load.arrivals import Arrival
from harness.load.job import LoadJob
from harness.load.placeholders import Values, attributes_of, fill, fill_body
from harness.load.recorder import Recorder, Sent
from harness.model.files.target import Flow, Step, TokenRequest
from harness.model.run.clock import NS_PER_S, Clock
from harness.model.run.plan import Plan
from harness.recording.columns import Outcome


@dataclass(frozen=True, slots=True)
class Door:
    """A way straight to a service, past the entry; *identity* None presents none."""

    service: str
    identity: str | None = None
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, ready to be sent; given up after *timeout_s* in all."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout_s: float
    door: Door | None = None  # None: the entry


Send = Callable[[Request], Answer]


class Player:
    """Plays arrivals, whoever sends the requests; all that can fail becomes a row."""

    def __init__(self, job: LoadJob, *, clock: Clock, recorder: Recorder, token_of: Callable[[str], str]) -> None:
        self._plan: Plan = job.plan
        self._start_ns = job.start_ns
        self._run_started_ns = job.run_started_ns
        self._clock = clock
        self._recorder = recorder
        self._token_of = token_of
        self._attributes = {name: attributes_of(tenant) for name, tenant in self._plan.target.tenants.items()}

    def play(self, arrival: Arrival, send: Send) -> None:
        """Send the steps of *arrival*; a step after one that did not succeed is not sent."""
        flow = self._flow(arrival)
        intended_ns = self._due_ns(arrival)
        if self._clock.now_ns() > intended_ns + int(flow.timeout * NS_PER_S):
            self.drop(arrival)
            return
        self._recorder.tally.in_flight += 1
        values = self._values(arrival)
        for number, step in enumerate(flow.steps):
            outcome, intended_ns = self._send_step(
                arrival, step, values, flow.timeout, intended_ns, send, is_first=number == 0
            )
            if outcome is not Outcome.OK:
                break
        self._recorder.tally.in_flight -= 1

    def drop(self, arrival: Arrival) -> None:
        """Record that *arrival* was due, and never started within its flow's timeout."""
        flow, due_ns = self._flow(arrival), self._due_ns(arrival)
        given_up_ns = due_ns + int(flow.timeout * NS_PER_S)
        self._recorder.dropped(arrival, flow.steps[0].name, intended_ns=due_ns, given_up_ns=given_up_ns)

    def _send_step(
        self,
        arrival: Arrival,
        step: Step,
        values: Values,
        timeout_s: float,
        intended_ns: int,
        send: Send,
        *,
        is_first: bool,
    ) -> tuple[Outcome, int]:
        """Send one step and record it; return its outcome and its end."""
        trace_id = os.urandom(16)
        request = request_of(step, values, timeout_s, self._headers(values, trace_id))
        key = fill(step.ledger.key, values) if step.ledger else ""
        if step.ledger:
            self._recorder.write("invoke", step.ledger.name, arrival.tenant, key, trace_id)
        start_ns = self._clock.now_ns()
        if is_first:
            self._recorder.tally.started(arrival, start_ns - intended_ns)
        answer = send(request)
        end_ns = self._clock.now_ns()
        judged = judge(answer, step, tenant=arrival.tenant, others=self._attributes)
        sent = Sent(arrival, step.name, intended_ns, start_ns, trace_id)
        self._recorder.answered(sent, end_ns, answer, judged)
        if step.ledger:
            self._recorder.write(ledger_type(answer, step), step.ledger.name, arrival.tenant, key, trace_id)
        return judged.outcome, end_ns

    def _headers(self, values: Values, trace_id: bytes) -> dict[str, str]:
        headers = {"traceparent": f"00-{trace_id.hex()}-{os.urandom(8).hex()}-01"}
        if self._plan.target.token and values.token:
            headers |= {name: fill(text, values) for name, text in self._plan.target.token.header.items()}
        return headers

    def _values(self, arrival: Arrival) -> Values:
        return Values(
            tenant=arrival.tenant,
            attributes=self._attributes[arrival.tenant],
            run_started_ns=self._run_started_ns,
            random=Random(repr((self._plan.seed, arrival.id))),
            key=f"{arrival.id}-{self._run_started_ns:x}",  # a stack that outlives the run must not take it for a repeat
            token=self._token_of(arrival.tenant),
        )

    def _flow(self, arrival: Arrival) -> Flow:
        return self._plan.target.flows[arrival.flow]

    def _due_ns(self, arrival: Arrival) -> int:
        return self._start_ns + arrival.due_ns


def request_of(step: Step | TokenRequest, values: Values, timeout_s: float, headers: Mapping[str, str]) -> Request:
    """Fill in the placeholders of *step*; its own headers win over *headers*, whatever their case."""
    body, content_type = body_of(step.body, values)
    own = {name: fill(text, values) for name, text in step.headers.items()}
    given = {name.lower() for name in own}
    rest = {name: text for name, text in {**content_type, **headers}.items() if name.lower() not in given}
    return Request(step.method, fill(step.path, values, in_url=True), rest | own, body, timeout_s, _door_of(step))


def _door_of(step: Step | TokenRequest) -> Door | None:
    if isinstance(step, TokenRequest) or step.service is None:
        return None
    return Door(step.service, step.identity, step.plain)


def body_of(raw: Any, values: Values) -> tuple[bytes | None, dict[str, str]]:
    """Return body and content type: text as it stands, everything else as JSON."""
    if raw is None:
        return None, {}
    if isinstance(raw, str):
        return fill(raw, values).encode(), {}
    return json.dumps(fill_body(raw, values)).encode(), {"Content-Type": "application/json"}
