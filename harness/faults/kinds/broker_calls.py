"""The few calls that faults in a NATS broker need: which of our messages its stream holds, who got them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import nats
import nats.errors
import nats.js.errors
from nats.js import JetStreamContext

MARK = "Harness-Fault"
"""Header of every message that a fault publishes: by it they are found again, whoever looks."""

_CALL_LIMIT_S = 1.0


class BrokerCallError(Exception):
    """The broker did not do as it was asked."""


@dataclass(frozen=True, slots=True)
class Published:
    """A message in a stream that carries our mark."""

    sequence: int
    subject: str


@asynccontextmanager
async def jetstream(address: str) -> AsyncIterator[JetStreamContext]:
    """Connect to the broker at host:port, once.

    Raises:
        ConnectionRefusedError: nobody listens there.
        BrokerCallError: it does not speak NATS, or not in time.
    """
    await _knock(address)
    try:
        client = await nats.connect(f"nats://{address}", allow_reconnect=False, error_cb=_silent)
    except (OSError, TimeoutError, nats.errors.Error) as problem:
        raise BrokerCallError(_words(address, problem)) from None
    try:
        yield client.jetstream(timeout=_CALL_LIMIT_S)
    except (OSError, TimeoutError, nats.errors.Error) as problem:
        raise BrokerCallError(_words(address, problem)) from None
    finally:
        await client.close()


async def _knock(address: str) -> None:
    """Raise ConnectionRefusedError where nobody listens: the library would try again for two minutes."""
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()


async def stream_of(stream: JetStreamContext, subject: str) -> tuple[str, int]:
    """Return the stream that keeps *subject*, and the last number in it; BrokerCallError where none does."""
    try:
        name = await stream.find_stream_name_by_subject(subject)
    except nats.js.errors.NotFoundError:
        msg = f"no stream keeps the subject {subject!r}"
        raise BrokerCallError(msg) from None
    return name, (await stream.stream_info(name)).state.last_seq


async def marked_messages(
    stream: JetStreamContext, name: str, *, subject: str, after: int, mark: str
) -> list[Published]:
    """Return the messages behind number *after* that carry our mark."""
    found: list[Published] = []
    while True:
        try:
            message = await stream.get_msg(name, seq=after + 1, subject=subject, next=True)
        except nats.js.errors.NotFoundError:
            return found
        assert message.seq is not None
        if (message.headers or {}).get(MARK) == mark:
            found.append(Published(message.seq, message.subject or subject))
        after = message.seq


async def deliveries(stream: JetStreamContext, name: str, messages: Sequence[tuple[int, str]]) -> int:
    """Return how often these (number, subject) were delivered to a consumer that wants them, first times only."""
    return sum(
        (consumer.delivered.stream_seq if consumer.delivered else 0) >= sequence and _wants(consumer.config, subject)
        for consumer in await stream.consumers_info(name)
        for sequence, subject in messages
    )


def _wants(consumer: Any, subject: str) -> bool:
    filters = [consumer.filter_subject, *(getattr(consumer, "filter_subjects", None) or [])]
    given = [pattern for pattern in filters if pattern]
    return not given or any(matches(pattern, subject) for pattern in given)


def matches(pattern: str, subject: str) -> bool:
    """Say whether a NATS pattern ("orders.*.created", "orders.>") covers *subject*."""
    asked, words = pattern.split("."), subject.split(".")
    for number, word in enumerate(asked):
        if word == ">":
            return len(words) > number
        if number >= len(words) or word not in ("*", words[number]):
            return False
    return len(asked) == len(words)


def _words(address: str, problem: Exception) -> str:
    return f"broker {address}: {str(problem) or type(problem).__name__}"


async def _silent(_: Exception) -> None:
    """The library would print what the caller gets as an exception anyway."""
