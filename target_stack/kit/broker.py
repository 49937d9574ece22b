"""NATS JetStream behind one link: a connection that comes back by itself, and the streams of the platform."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, BadRequestError

from target_stack.kit.events import EventRejectedError
from target_stack.kit.logs import Log

ACK_WITHIN_S = 1.0
DEDUPLICATION_S = 120.0
_COMPLAIN_EVERY = 100
_BAD_REQUEST = 400
_MIB = 1024 * 1024
_PATIENCE: dict[str, Any] = {
    "max_reconnect_attempts": -1,
    "reconnect_time_wait": 0.1,
    "connect_timeout": 1,
    "ping_interval": 5,
    "max_outstanding_pings": 2,
    "pending_size": 0,
}
EVENTS = StreamConfig(
    name="EVENTS",
    subjects=["orders.>"],
    storage=StorageType.FILE,
    max_bytes=128 * _MIB,
    discard=DiscardPolicy.NEW,  # a full stream refuses: what was published stays, what was not waits in the outbox
    duplicate_window=DEDUPLICATION_S,
)
DEAD_LETTERS = StreamConfig(
    name="DEAD",
    subjects=["dead.>"],
    storage=StorageType.FILE,
    max_bytes=32 * _MIB,
    discard=DiscardPolicy.OLD,
    duplicate_window=DEDUPLICATION_S,
)


class BrokerUnavailableError(Exception):
    """The broker is out of reach, did not answer in time, or refused."""


class Broker:
    """One connection. It never holds back what could not be sent: whoever publishes knows at once that it failed."""

    def __init__(self, url: str, *, service: str, log: Log) -> None:
        self._url = url
        self._service = service
        self._log = log
        self._client = Client()
        self._connecting: asyncio.Task[None] | None = None
        self._streams_known = False
        self._failures = 0

    def start(self) -> None:
        """Begin to connect, and go on until it works: nobody waits for the broker in order to serve."""
        self._connecting = asyncio.create_task(self._connect(), name="broker connection")

    async def close(self) -> None:
        """Drop the connection at once."""
        if self._connecting is not None:
            self._connecting.cancel()
        if not self._client.is_closed:
            await self._client.close()

    async def jetstream(self) -> JetStreamContext:
        """Return the API to the streams, which exist then; raise BrokerUnavailableError without a connection."""
        if not self._client.is_connected:
            raise BrokerUnavailableError("there is no connection to the broker")
        context = self._client.jetstream(timeout=ACK_WITHIN_S)
        if not self._streams_known:
            with translated():
                for stream in (EVENTS, DEAD_LETTERS):
                    await _ensure(context, stream)
            self._streams_known = True
        return context

    async def publish(self, subject: str, body: bytes, message_id: str, headers: dict[str, str]) -> None:
        """Return once a stream holds the message, once for each *message_id*; else raise BrokerUnavailableError.

        Raises EventRejectedError for a message that it will never take.
        """
        if not _has_stream(subject):
            raise EventRejectedError(f"no stream takes {subject!r}")
        context = await self.jetstream()
        with translated(), _refused_for_good():
            await context.publish(subject, body, headers={**headers, "Nats-Msg-Id": message_id})

    async def _connect(self) -> None:
        await self._client.connect(
            self._url,
            name=self._service,
            **_PATIENCE,
            error_cb=self._on_error,
            reconnected_cb=self._on_reconnect,
        )
        self._failures = 0

    async def _on_reconnect(self) -> None:
        self._streams_known = False  # it may have come back empty
        self._failures = 0
        self._log.info("connected to the broker again")

    async def _on_error(self, error: Exception) -> None:
        if self._failures % _COMPLAIN_EVERY == 0:
            self._log.warning("trouble with the broker", error=f"{type(error).__name__}: {error}")
        self._failures += 1


async def _ensure(context: JetStreamContext, stream: StreamConfig) -> None:
    try:
        await context.add_stream(stream)
    except BadRequestError:  # it exists with other settings
        await context.update_stream(stream)


def _has_stream(subject: str) -> bool:
    prefixes = [taken.removesuffix(">") for stream in (EVENTS, DEAD_LETTERS) for taken in stream.subjects or ()]
    return any(subject.startswith(prefix) for prefix in prefixes)


@contextmanager
def _refused_for_good() -> Iterator[None]:
    """Tell what is wrong with the message from what is wrong with the broker."""
    try:
        yield
    except (nats.errors.MaxPayloadError, nats.errors.BadSubjectError) as error:
        raise EventRejectedError(f"{type(error).__name__}: {error}") from error
    except APIError as error:
        if error.code == _BAD_REQUEST:  # a full stream is another code
            raise EventRejectedError(f"the broker refused it: {error.description}") from error
        raise


@contextmanager
def translated() -> Iterator[None]:
    """Turn every failure of the client library into BrokerUnavailableError."""
    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise BrokerUnavailableError(f"{type(error).__name__}: {error}") from error
