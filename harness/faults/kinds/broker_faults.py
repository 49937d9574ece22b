"""Faults inside a message broker: a message that its consumers cannot digest."""

import asyncio
from urllib.parse import urlsplit

import nats.js.errors

from harness.faults.kinds.broker_acts import MessagesPublished
from harness.faults.kinds.broker_calls import MARK, BrokerCallError, deliveries, jetstream, stream_of
from harness.faults.kinds.injector import UNKNOWN, Observed, ReadBack
from harness.faults.kinds.places import Places
from harness.faults.kinds.standing_fault import StandingFault, now_ns
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.files.fault_specs import Poison
from harness.model.files.faults import Fault

_APPLY_LIMIT_S = 3.0
_FELT_LIMIT_S = 1.0


class PoisonFault(StandingFault):
    """Messages with a body of our choice in a subject of a NATS stream.

    Confirmed: the stream acknowledged each. Observed: the broker counts how often they were delivered to a consumer.
    Rolled back: the stream no longer holds any of them, so none is delivered again; copies that the target itself
    made, in a dead letter stream for instance, are the target's own.
    """

    def __init__(self, fault: Fault, *, name: str, places: Places, safety: Safety) -> None:
        super().__init__(safety)
        assert fault.poison is not None
        assert fault.service is not None
        self._poison: Poison = fault.poison
        self._service = fault.service
        self._name = name
        self._address = urlsplit(places.url_at(fault.service, "/")).netloc
        self._act: MessagesPublished | None = None
        self._sequences: list[int] = []
        self._first_ns: int | None = None

    def apply(self) -> None:
        """Journal how they are found again, then publish each and wait for its acknowledgement."""
        try:
            asyncio.run(asyncio.wait_for(self._publish(), _APPLY_LIMIT_S))
        except (OSError, TimeoutError, BrokerCallError, nats.js.errors.Error) as problem:
            cause = str(problem) or f"no answer within {_APPLY_LIMIT_S:g}s"
            msg = f"{self._name}: {self._service} does not take {self._poison.subject}: {cause}"
            raise HarnessError(msg) from None

    async def _publish(self) -> None:
        poison = self._poison
        async with jetstream(self._address) as stream:
            name, last = await stream_of(stream, poison.subject)
            mark = f"{self._name} {now_ns()}"
            self._act = MessagesPublished(self._name, self._service, self._address, name, poison.subject, mark, last)
            self._write(self._act)
            for _ in range(poison.count):
                headers = {**poison.headers, MARK: mark}
                acknowledged = await stream.publish(poison.subject, poison.body.encode(), headers=headers)
                self._sequences.append(acknowledged.seq)

    def confirm(self) -> bool:
        """Say whether the stream acknowledged all; a consumer may have had them removed already."""
        return len(set(self._sequences)) == self._poison.count

    def observed(self) -> Observed:
        """Ask the broker how often they were delivered."""
        try:
            count = asyncio.run(asyncio.wait_for(self._delivered(), _FELT_LIMIT_S))
        except (OSError, TimeoutError, BrokerCallError):
            return UNKNOWN
        if count and self._first_ns is None:
            self._first_ns = now_ns()
        return Observed(touched=count, unit="deliveries", first_observed_ns=self._first_ns)

    async def _delivered(self) -> int:
        if self._act is None:
            return 0
        async with jetstream(self._address) as stream:
            published = [(sequence, self._poison.subject) for sequence in self._sequences]
            return await deliveries(stream, self._act.stream, published)

    def read_back(self) -> ReadBack:
        """Messages that are gone from the stream may have been digested, which is what they are for."""
        return ReadBack(None, "messages may have been consumed")

    def lifted_by(self) -> str:
        """Look into the journal; a message that is gone from the stream may have been consumed."""
        return next((by for token, _ in self._written if (by := self._safety.lifted_by(token))), "")
