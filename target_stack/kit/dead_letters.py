"""Events that a consumer could not apply: kept with their cause, looked through and replayed by their tenant's admin.

A dead letter travels as `dead.<consumer>.<tenant>.<subject>`; one whose subject names no tenant of ours is nobody's,
stands under `_`, and is there for the operator only.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from target_stack.kit.broker import DEAD_LETTERS, Broker, translated

CAUSE = "Dead-Cause"
SUBJECT = "Dead-Subject"
NOBODYS = "_"
_MOST = 500
_LONGEST_CAUSE = 300


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One event that was set aside; `number` is its place in the stream of dead letters."""

    number: int
    subject: str
    cause: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to."""

    applied: int
    still_dead: int


class DeadLetters:
    """Those of one consumer."""

    def __init__(self, consumer: str, broker: Broker) -> None:
        self._consumer = consumer
        self._broker = broker

    async def add(self, message: Msg, tenant: str, cause: str) -> None:
        """Keep *message*; once, however often this is done for one delivery. Raises BrokerUnavailableError."""
        headers = {
            **(message.headers or {}),
            CAUSE: _one_line(cause),
            SUBJECT: message.subject,
            "Dead-Consumer": self._consumer,
            "Dead-Deliveries": str(message.metadata.num_delivered),
        }
        subject = f"dead.{self._consumer}.{tenant or NOBODYS}.{message.subject}"
        await self._broker.publish(
            subject, message.data, f"{self._consumer}:{message.metadata.sequence.stream}", headers
        )

    async def of(self, tenant: str) -> AsyncIterator[DeadLetter]:
        """Yield those of *tenant*, oldest first, up to a sane number; raise BrokerUnavailableError."""
        number = 0
        for _ in range(_MOST):
            letter = await self._next(f"dead.{self._consumer}.{tenant}.>", number + 1)
            if letter is None:
                return
            yield letter
            number = letter.number

    async def replay(self, tenant: str, apply: Callable[[str, bytes], Awaitable[object]]) -> Replayed:
        """Hand those of *tenant* to *apply* again, oldest first; what it takes is no dead letter any more."""
        applied = still_dead = 0
        async for letter in self.of(tenant):
            try:
                await apply(letter.subject, letter.body)
            except Exception:  # noqa: BLE001 - whatever the cause, it stays where it is
                still_dead += 1
                continue
            await self._remove(letter.number)
            applied += 1
        return Replayed(applied, still_dead)

    async def _next(self, subject: str, number: int) -> DeadLetter | None:
        stream = await self._broker.jetstream()
        with translated():
            try:
                found = await stream.get_msg(DEAD_LETTERS.name or "", seq=number, subject=subject, next=True)
            except NotFoundError:
                return None
        headers = found.headers or {}
        return DeadLetter(found.seq or 0, headers.get(SUBJECT, ""), headers.get(CAUSE, ""), found.data or b"")

    async def _remove(self, number: int) -> None:
        stream = await self._broker.jetstream()
        with translated():
            await stream.delete_msg(DEAD_LETTERS.name or "", number)


def _one_line(cause: str) -> str:
    """Return a text that a header can carry."""
    return cause.encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")[:_LONGEST_CAUSE]
