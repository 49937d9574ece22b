"""The relay against an outbox in memory and a broker that does as it is told: whose events wait, and for what."""

import asyncio
import io
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from target_stack.kit import outbox
from target_stack.kit.broker import BrokerUnavailableError
from target_stack.kit.clock import SystemClock
from target_stack.kit.database import DatabaseUnavailableError
from target_stack.kit.event_metrics import OutboxMetrics
from target_stack.kit.events import EventRejectedError
from target_stack.kit.logs import Log
from target_stack.kit.outbox import Publisher
from target_stack.kit.relay import BATCH, MOST_STUMBLES, Relay
from target_stack.kit.telemetry import Tracing

TENANTS = ("acme", "globex", "initech")
CLOCK = SystemClock()


def row(tenant: str, key: str, sequence: int = 1, **changes: Any) -> dict[str, Any]:
    usual = {
        "tenant_id": tenant,
        "key": key,
        "sequence": sequence,
        "type": "orders.confirmed",
        "occurred_ns": sequence,
        "actor": "app",
        "roles": '["tenant_user"]',
        "traceparent": "",
        "data": "{}",
        "parked": None,
    }
    return {**usual, **changes}


@dataclass
class Outboxes:
    """The outbox of each tenant, with the few statements that the relay knows; a tenant may be paused or gone."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    paused: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def transaction(self, _operation: str, tenant: str | None = None):
        if tenant in self.paused:
            await asyncio.sleep(60)
        if tenant in self.gone:
            raise DatabaseUnavailableError
        yield _Transaction(self, tenant or "")

    def of(self, tenant: str, *, parked: bool = False) -> list[tuple[str, int]]:
        found = [each for each in self.rows if each["tenant_id"] == tenant and (each["parked"] is not None) is parked]
        return [(each["key"], each["sequence"]) for each in found]


@dataclass
class _Transaction:
    boxes: Outboxes
    tenant: str

    def _own(self, *, parked: bool) -> list[dict[str, Any]]:
        rows = [each for each in self.boxes.rows if each["tenant_id"] == self.tenant]
        return [each for each in rows if (each["parked"] is not None) is parked]

    async def fetch(self, query: str, *args: object) -> list[Any]:
        if query == outbox.LIST_PARKED:
            return self._own(parked=True)
        assert query == outbox.READ
        behind = {(each["key"], each["sequence"]) for each in self._own(parked=True)}
        rows = sorted(self._own(parked=False), key=lambda each: (each["occurred_ns"], each["key"]))[: args[0]]
        return [
            {**each, "is_behind_parked": any(k == each["key"] and s < each["sequence"] for k, s in behind)}
            for each in rows
        ]

    async def fetchrow(self, query: str, *_args: object) -> Any:
        assert query == outbox.COUNT
        return {"pending": len(self._own(parked=False)), "parked": len(self._own(parked=True))}

    async def execute(self, query: str, *args: Any) -> str:
        if query == outbox.RELEASE:
            rows = self._own(parked=True)
            for each in rows:
                each["parked"] = None
            return f"UPDATE {len(rows)}"
        names = set(zip(args[0], args[1], strict=True))
        if query == outbox.DELETE:
            self.boxes.rows = [
                each
                for each in self.boxes.rows
                if each["tenant_id"] != self.tenant or (each["key"], each["sequence"]) not in names
            ]
            return ""
        assert query == outbox.PARK
        causes = dict(zip(zip(args[0], args[1], strict=True), args[2], strict=True))
        for each in self._own(parked=False):
            each["parked"] = causes.get((each["key"], each["sequence"]))
        return ""


class Broker:
    """Keeps what it is given; `fails` raises for the events that it names by key."""

    def __init__(self) -> None:
        self.fails: dict[str, Exception] = {}
        self.is_away = False
        self.held: list[tuple[str, str]] = []

    async def publish(self, subject: str, body: bytes, message_id: str, headers: dict[str, str]) -> None:
        if self.is_away:
            raise BrokerUnavailableError
        key = message_id.split(":")[1]
        if key in self.fails:
            raise self.fails[key]
        if (subject, message_id) not in self.held:
            self.held.append((subject, message_id))

    def ids(self, tenant: str) -> list[str]:
        return [name.removeprefix(f"{tenant}:") for _, name in self.held if name.startswith(f"{tenant}:")]


class Scene:
    def __init__(self, *rows: dict[str, Any], **settings: Any) -> None:
        self.boxes, self.broker = Outboxes(list(rows)), Broker()
        self.registry = CollectorRegistry()
        self.log = io.StringIO()
        metrics, tracing = OutboxMetrics(self.registry, TENANTS), Tracing("orders", None)
        publisher = Publisher(self.broker, tracing, metrics, times=settings.pop("times", 1))
        log = Log("orders", CLOCK, self.log)
        self.relay = Relay(
            self.boxes, publisher, TENANTS, tracing=tracing, metrics=metrics, clock=CLOCK, log=log, **settings
        )

    def metric(self, name: str, tenant: str) -> float | None:
        return self.registry.get_sample_value(name, {"tenant": tenant})

    async def until(self, condition, within_s: float = 10.0) -> bool:
        try:
            async with asyncio.timeout(within_s):
                while not condition():  # noqa: ASYNC110 - what the fakes hold changes without telling anybody
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        return True


def play(scene: Scene, story):
    async def stage():
        relaying = asyncio.create_task(scene.relay.run())
        try:
            return await story()
        finally:
            relaying.cancel()

    return asyncio.run(asyncio.wait_for(stage(), 30))


@pytest.mark.parametrize("trouble", ["paused", "gone"])
def test_a_tenant_whose_database_is_away_waits_alone(trouble):
    scene = Scene(row("globex", "g"), row("initech", "i"), *(row("acme", f"a{number}") for number in range(200)))
    getattr(scene.boxes, trouble).update({"globex", "initech"})
    assert play(scene, lambda: scene.until(lambda: len(scene.broker.ids("acme")) == 200, within_s=5))
    assert scene.broker.ids("globex") == []


def test_in_one_loop_for_all_it_holds_up_everybody():
    scene = Scene(row("acme", "a"), row("globex", "g"), in_turn=True)
    scene.boxes.paused.add("acme")  # first in the loop
    assert not play(scene, lambda: scene.until(lambda: scene.broker.ids("globex"), within_s=1))


@pytest.mark.parametrize(
    "hopeless",
    [
        {"type": "no dot"},
        {"type": "orders"},
        {"type": "Orders.Confirmed"},
        {"type": "orders.confirmed.twice"},
        {"data": "not json"},
        {"data": None},
        {"roles": "7"},
    ],
)
def test_an_event_that_cannot_be_made_is_parked_with_its_cause_and_the_others_go_on(hopeless):
    scene = Scene(row("acme", "bad", **hopeless), row("acme", "good", 2), row("globex", "g"))

    async def story():
        await scene.until(lambda: scene.boxes.of("acme", parked=True) and scene.broker.ids("acme"))
        return await scene.relay.parked("acme")

    (parked,) = play(scene, story)
    assert (parked["key"], bool(parked["cause"])) == ("bad", True)
    assert (scene.broker.ids("acme"), scene.broker.ids("globex")) == (["good:2"], ["g:1"])
    assert scene.metric("resilience_outbox_parked", "acme") == 1
    assert "an event cannot be published" in scene.log.getvalue()


def test_an_event_that_the_broker_refuses_for_good_is_parked():
    scene = Scene(row("acme", "large"), row("acme", "small", 2))
    scene.broker.fails["large"] = EventRejectedError("message size exceeds maximum allowed")
    assert play(scene, lambda: scene.until(lambda: scene.boxes.of("acme", parked=True) == [("large", 1)]))
    assert scene.broker.ids("acme") == ["small:2"]


def test_an_event_that_fails_for_an_unforeseen_reason_is_parked_in_the_end():
    scene = Scene(row("acme", "odd"), row("acme", "even", 2))
    scene.broker.fails["odd"] = ZeroDivisionError("nobody knows why")
    assert play(scene, lambda: scene.until(lambda: scene.boxes.of("acme", parked=True) == [("odd", 1)]))
    assert scene.broker.ids("acme") == ["even:2"]
    assert scene.log.getvalue().count("the relay stumbled") == MOST_STUMBLES - 1


def test_what_follows_about_the_same_key_is_parked_too_now_and_later():
    scene = Scene(row("acme", "k", 1, type="bad"), row("acme", "k", 2))

    async def story():
        await scene.until(lambda: len(scene.boxes.of("acme", parked=True)) == 2)
        scene.boxes.rows.append(row("acme", "k", 3))
        scene.relay.wake("acme")
        await scene.until(lambda: len(scene.boxes.of("acme", parked=True)) == 3)
        return [each["cause"] for each in await scene.relay.parked("acme")][1:]

    assert play(scene, story) == ["an earlier event about the same key is parked"] * 2
    assert scene.broker.ids("acme") == []


def test_parked_events_go_out_in_order_once_they_are_released():
    scene = Scene(row("acme", "k", 1), row("acme", "k", 2))
    scene.broker.fails["k"] = EventRejectedError("not today")

    async def story():
        await scene.until(lambda: len(scene.boxes.of("acme", parked=True)) == 2)
        scene.broker.fails.clear()
        assert await scene.relay.release("acme") == 2
        await scene.until(lambda: len(scene.broker.ids("acme")) == 2)
        return scene.broker.ids("acme")

    assert play(scene, story) == ["k:1", "k:2"]


def test_rows_whose_wake_up_was_lost_are_swept_while_others_are_busy():
    scene = Scene()

    async def story():
        await asyncio.sleep(0.1)
        scene.boxes.rows.append(row("globex", "forgotten"))  # nobody wakes anybody
        number = 0
        while not scene.broker.ids("globex") and number < 1000:
            number += 1
            scene.boxes.rows.append(row("acme", f"a{number}"))
            scene.relay.wake("acme")
            await asyncio.sleep(0.01)
        return scene.broker.ids("globex")

    assert play(scene, story) == ["forgotten:1"]


def test_while_the_broker_is_away_nothing_is_parked_and_then_everything_goes_out():
    scene = Scene(*(row("acme", f"a{number}") for number in range(BATCH + 5)))
    scene.broker.is_away = True

    async def story():
        await asyncio.sleep(0.5)
        assert scene.boxes.of("acme", parked=True) == []
        scene.broker.is_away = False
        return await scene.until(lambda: scene.boxes.of("acme") == [])

    assert play(scene, story)
    assert len(set(scene.broker.ids("acme"))) == BATCH + 5


def test_the_same_key_of_two_tenants_makes_two_events():
    scene = Scene(row("acme", "same"), row("globex", "same"))
    assert play(scene, lambda: scene.until(lambda: len(scene.broker.held) == 2))
    assert {name for _, name in scene.broker.held} == {"acme:same:1", "globex:same:1"}


def test_published_twice_it_has_two_ids():
    scene = Scene(row("acme", "a"), times=2)
    assert play(scene, lambda: scene.until(lambda: len(scene.broker.held) == 2))
    assert scene.broker.ids("acme") == ["a:1", "a:1:1"]
