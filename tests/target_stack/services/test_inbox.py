"""Deliveries in any order, any number of times: against a real PostgreSQL the effects are those of one, in order."""

import asyncio
import io
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_stack.kit.clock import SystemClock
from target_stack.kit.database import Database, DatabaseLink
from target_stack.kit.events import Actor, Event
from target_stack.kit.inbox import Admission, TooEarlyError
from target_stack.kit.logs import Log
from target_stack.kit.metrics import Metrics
from target_stack.kit.telemetry import Tracing
from target_stack.services.insights.store import SCHEMA as INSIGHTS_SCHEMA
from target_stack.services.insights.store import InsightsStore
from target_stack.services.notifications.store import SCHEMA, NotificationStore

CLOCK = SystemClock()
KEYS = ("a", "b")
LINES = [{"sku": "sku-1", "quantity": 2, "price_cents": 100}, {"sku": "sku-2", "quantity": 1, "price_cents": 50}]


@pytest.fixture(scope="module")
def effects(postgres):
    """Run a story with both stores of a fresh database."""
    postgres.create("effects")

    def play(story):
        async def stage():
            link = DatabaseLink("effects", "effects-db", f"postgresql://effects@127.0.0.1:{postgres.port}/effects")
            log = Log("effects", CLOCK, io.StringIO())
            database = Database(link, clock=CLOCK, tracing=Tracing("effects", None), metrics=Metrics(), log=log)
            await database.open(SCHEMA + INSIGHTS_SCHEMA)
            try:
                return await story(NotificationStore(database, CLOCK), InsightsStore(database))
            finally:
                await database.close()

        return asyncio.run(asyncio.wait_for(stage(), 60))

    return play


def history(run: str, lengths: list[int]) -> list[Event]:
    """Return the events of each key: failures, and a confirmation at the end."""
    return [
        Event(
            "orders.confirmed" if number == length else "orders.failed",
            "acme",
            f"{run}-{key}",
            number,
            number,
            Actor("app"),
            {"idempotency_key": f"{run}-{key}", "created_ns": 1, "lines": LINES, "total_cents": 250},
        )
        for key, length in zip(KEYS, lengths, strict=True)
        for number in range(1, length + 1)
    ]


async def deliver(store_apply, events: list[Event], order: list[int]) -> list[Admission]:
    """Deliver as *order* says, then again and again what was too early, as the broker does."""
    admitted, waiting = [], [events[index % len(events)] for index in order] + events
    while waiting:
        early = []
        for event in waiting:
            try:
                admitted.append(await store_apply(event))
            except TooEarlyError:
                early.append(event)
        assert len(early) < len(waiting), "nothing moves any more"
        waiting = early
    return admitted


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 4), min_size=2, max_size=2), order=st.lists(st.integers(0, 7), max_size=20))
def test_each_event_counts_once_and_in_order(effects, lengths, order):
    run = uuid.uuid4().hex
    events = history(run, lengths)

    async def story(notifications: NotificationStore, insights: InsightsStore):
        before = await insights.summary("acme")
        admitted = await deliver(notifications.apply, events, order)
        await deliver(lambda event: insights.apply(event, 1), events, list(reversed(order)))
        sent = await notifications.list_since("acme", 0, 0, 100_000)
        return (
            admitted,
            [each.order_id for each in sent if each.order_id.startswith(run)],
            before,
            (await insights.summary("acme")),
        )

    admitted, sent, before, after = effects(story)
    assert admitted.count(Admission.NEW) == len(events)
    assert sorted(sent) == [f"{run}-a", f"{run}-b"]
    assert (after.orders - before.orders, after.revenue_cents - before.revenue_cents) == (2, 500)
    assert after.failed - before.failed == sum(lengths) - 2


def test_an_event_that_comes_before_its_turn_leaves_nothing(effects):
    first, second = history(uuid.uuid4().hex, [2, 1])[:2]

    async def story(notifications: NotificationStore, _insights: InsightsStore):
        with pytest.raises(TooEarlyError):
            await notifications.apply(second)
        return [await notifications.apply(event) for event in (first, second, second, first)]

    assert effects(story) == [Admission.NEW, Admission.NEW, Admission.REPEATED, Admission.REPEATED]
