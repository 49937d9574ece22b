"""A durable consumer: each event is applied at least once by a function that makes it count once; bad ones are kept.

One delivery at a time, acknowledged by hand. What fails is delivered again after a growing pause while others go on;
after MAX_FAILURES, or at once when it can never succeed, it goes to the dead letters with its cause. Trouble of our
own (the database is away) is nobody's fault: the consumer waits.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import nats.errors
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NothingInTimeError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from target_stack.kit.auth import TENANT_USER
from target_stack.kit.broker import EVENTS, Broker, BrokerUnavailableError, translated
from target_stack.kit.call_context import CallContext, set_context
from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.dead_letters import DeadLetters
from target_stack.kit.deadline import Deadline, DeadlineExceededError
from target_stack.kit.event_metrics import LATE_S, ConsumerMetrics, Outcome
from target_stack.kit.events import Event, EventRejectedError, decode, tenant_of
from target_stack.kit.inbox import Admission, TooEarlyError
from target_stack.kit.protections import Protection
from target_stack.kit.toolbox import Toolbox

APPLY_WITHIN_S = 5.0
ACK_WAIT_S = 15.0
MAX_FAILURES = 5
MAX_DELIVERIES = 50
"""However often the process died over it: then a failing event is dead even if this process saw it fail just once."""
GAP_PATIENCE_S = 20.0
"""How long an event may wait for those before it; EVENT_GAP_PATIENCE_S sets another time."""
_BATCH = 32
_WAIT_S = 1.0
_TRY_AGAIN_S = 0.3
_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_MOST_REMEMBERED = 10_000

Apply = Callable[[Event], Awaitable[Admission]]


class Watcher(Protocol):
    """Who wants to know how far the consumer is; see insights' freshness."""

    def delivered(self, sequence: int, stored_ns: int, *, settled: bool) -> None:
        """Hear that the message, which the stream has since *stored_ns*, was settled, or will come again."""
        ...

    def caught_up(self, at_ns: int) -> None:
        """Hear that at *at_ns* every message of the stream was settled."""
        ...


@dataclass(slots=True)
class Trouble:
    """What this process remembers of a delivery that did not succeed."""

    first_s: float
    failures: int = 0


class Consumer:
    """Applies the events of the platform in one service, under one durable name."""

    def __init__(self, broker: Broker, toolbox: Toolbox, apply: Apply, watcher: Watcher | None = None) -> None:
        self.name = toolbox.settings.service
        self.dead_letters = DeadLetters(self.name, broker)
        self._broker = broker
        self._toolbox = toolbox
        self._apply = apply
        self._watcher = watcher
        self._tenants = frozenset(toolbox.settings.tenants)
        self._metrics = ConsumerMetrics(toolbox.metrics.registry, self._tenants)
        self._sets_aside = toolbox.is_on(Protection.DEAD_LETTER)
        self._acks_first = not toolbox.is_on(Protection.ACK_AFTER_EFFECT)
        self._troubles: OrderedDict[int, Trouble] = OrderedDict()
        self._gap_patience_s = float(toolbox.settings.environment.get("EVENT_GAP_PATIENCE_S", GAP_PATIENCE_S))
        self._running: asyncio.Task[None] | None = None
        self._heard_s = toolbox.clock.monotonic_s()
        self._metrics.contact_age.set_function(lambda: toolbox.clock.monotonic_s() - self._heard_s)

    def start(self) -> None:
        """Connect and consume, both in the background; what `apply` needs must be ready."""
        self._broker.start()
        self._running = asyncio.create_task(self._run(), name="consumer")

    async def close(self) -> None:
        """Stop where it is: what was not acknowledged comes again."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running], timeout=1.0)
        await self._broker.close()

    async def _run(self) -> None:
        """Consume until cancelled, through every outage of broker and database."""
        while True:
            try:
                with self._toolbox.tracing.client_span("reach broker", {"peer.service": "broker"}):
                    stream = await self._broker.jetstream()
                await self._consume(stream)
            except BrokerUnavailableError:
                await asyncio.sleep(_TRY_AGAIN_S)
            except Exception as error:
                self._toolbox.log.exception("the consumer stumbled", error)
                await asyncio.sleep(1.0)

    async def apply(self, subject: str, body: bytes) -> Admission:
        """Check and apply one event; raise EventRejectedError, TooEarlyError or what stands in its way."""
        event = decode(subject, body, self._tenants, TENANT_USER)
        deadline = Deadline.after(APPLY_WITHIN_S, self._toolbox.clock)
        set_context(CallContext(deadline, named_tenant=event.tenant))
        admission = await self._apply(event)
        if admission is Admission.NEW and self._toolbox.clock.unix_ns() - event.occurred_ns > LATE_S * 1e9:
            self._metrics.late.labels(event.tenant).inc()
        return admission

    async def _consume(self, stream: JetStreamContext) -> None:
        with translated():
            await stream.add_consumer(EVENTS.name or "", self._config())
            subscription = await stream.pull_subscribe_bind(self.name, EVENTS.name)
        try:
            while True:
                for message in await self._fetch(stream, subscription):
                    await self._settle(message)
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    def _config(self) -> ConsumerConfig:
        return ConsumerConfig(
            durable_name=self.name,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=ACK_WAIT_S,
            max_deliver=-1,
            max_ack_pending=1000,
        )

    async def _fetch(self, stream: JetStreamContext, subscription: Any) -> Sequence[Msg]:
        """Return what is there, or nothing; an empty stream is told from a dead broker by asking."""
        with self._toolbox.tracing.client_span("receive events", {"peer.service": "broker"}), translated():
            try:
                messages: list[Msg] = await subscription.fetch(_BATCH, timeout=_WAIT_S)
            except NothingInTimeError:
                await self._ask(stream)
                return ()
        self._heard(messages[-1].metadata.num_pending)
        return messages

    async def _ask(self, stream: JetStreamContext) -> None:
        asked_ns = self._toolbox.clock.unix_ns()
        info = await stream.consumer_info(EVENTS.name or "", self.name)
        self._heard(info.num_pending or 0)
        if self._watcher is not None and not info.num_pending and not info.num_ack_pending:
            self._watcher.caught_up(asked_ns)

    def _heard(self, lag: int) -> None:
        self._heard_s = self._toolbox.clock.monotonic_s()
        self._metrics.lag.set(lag)

    async def _settle(self, message: Msg) -> None:
        """Apply a message and tell the broker what became of it, in one CONSUMER span for each try."""
        while True:
            outcome = await self._try(message)
            if outcome is not None:
                break
            with translated():
                await message.in_progress()
            await asyncio.sleep(_PAUSES_S[-2])
        if self._watcher is not None:
            stored_ns = int(message.metadata.timestamp.timestamp() * 1e9)
            settled = outcome is not Outcome.RETRIED
            self._watcher.delivered(message.metadata.sequence.stream, stored_ns, settled=settled)

    async def _try(self, message: Msg) -> Outcome | None:
        """Return what became of it; None when the very same message has to be tried again before any other."""
        tenant = tenant_of(message.subject, self._tenants)
        set_context(CallContext(Deadline.unlimited(self._toolbox.clock), named_tenant=tenant))
        attributes: dict[str, Any] = {
            "messaging.system": "nats",
            "messaging.destination.name": message.subject,
            "messaging.consumer.group.name": self.name,
            "messaging.message.id": (message.headers or {}).get("Nats-Msg-Id", ""),
            "messaging.delivery_attempt": message.metadata.num_delivered,
            "tenant.id": tenant,
        }
        tracing, headers = self._toolbox.tracing, message.headers or {}
        with tracing.consumer_span(f"process {message.subject}", headers, attributes) as span:
            outcome = await self._outcome(message)
            if outcome is not None:
                span.set_attribute("messaging.outcome", outcome.value)
                self._metrics.consumed.labels(tenant, outcome.value).inc()
            return outcome

    async def _outcome(self, message: Msg) -> Outcome | None:
        if self._acks_first:
            return await self._acknowledge_and_hope(message)
        try:
            admission = await self.apply(message.subject, message.data)
        except (DatabaseUnavailableError, DeadlineExceededError) as error:
            self._toolbox.log.warning("the consumer waits for its database", error=str(error))
            return None
        except EventRejectedError as error:
            return await self._set_aside(message, error)
        except TooEarlyError as error:
            patient = self._trouble(message).first_s + self._gap_patience_s > self._toolbox.clock.monotonic_s()
            return await (self._again(message, error) if patient else self._set_aside(message, error))
        except Exception as error:  # noqa: BLE001 - a defect of ours shall cost one event's delivery, not all
            hopeless = self._is_hopeless(message)
            return await (self._set_aside(message, error) if hopeless else self._again(message, error))
        self._troubles.pop(message.metadata.sequence.stream, None)
        with translated():
            await message.ack()
        return Outcome.APPLIED if admission is Admission.NEW else Outcome.REPEATED

    async def _acknowledge_and_hope(self, message: Msg) -> Outcome:
        """What is done without the protection `ack_after_effect`."""
        with translated():
            await message.ack()
        try:
            await self.apply(message.subject, message.data)
        except Exception as error:
            self._toolbox.log.exception("an event is lost", error, subject=message.subject)
        return Outcome.APPLIED

    def _is_hopeless(self, message: Msg) -> bool:
        failures = self._trouble(message).failures + 1
        return failures >= MAX_FAILURES or message.metadata.num_delivered >= MAX_DELIVERIES

    async def _again(self, message: Msg, error: Exception) -> Outcome | None:
        """Have the message delivered again after a pause, while others go on."""
        trouble = self._trouble(message)
        trouble.failures += 1
        cause = f"{type(error).__name__}: {error}"
        self._toolbox.log.warning("an event has to wait", cause=cause, subject=message.subject)
        if not self._sets_aside:
            return None
        with translated():
            await message.nak(_PAUSES_S[min(trouble.failures, len(_PAUSES_S)) - 1])
        return Outcome.RETRIED

    async def _set_aside(self, message: Msg, error: Exception) -> Outcome | None:
        """Bring the message to the dead letters, and only then end its delivery."""
        cause = f"{type(error).__name__}: {error}"
        self._toolbox.log.error("an event cannot be applied", cause=cause, subject=message.subject)
        if not self._sets_aside:
            return None
        try:
            await self.dead_letters.add(message, tenant_of(message.subject, self._tenants), cause)
        except EventRejectedError as refusal:  # not even as a dead letter: the log has it, and the others go on
            self._toolbox.log.exception("a dead letter cannot be kept", refusal, subject=message.subject)
        self._troubles.pop(message.metadata.sequence.stream, None)
        with translated():
            await message.term()
        return Outcome.DEAD

    def _trouble(self, message: Msg) -> Trouble:
        sequence = message.metadata.sequence.stream
        trouble = self._troubles.setdefault(sequence, Trouble(self._toolbox.clock.monotonic_s()))
        while len(self._troubles) > _MOST_REMEMBERED:
            self._troubles.popitem(last=False)
        return trouble
