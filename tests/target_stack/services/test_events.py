"""From the order to its effects: through outbox, broker and consumers, each exactly once."""

import asyncio
import json
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor

import nats
import pytest


def notified(stack, tenant: str, since_ns: int = 0) -> list[str]:
    """Return the idempotency keys of all confirmations of *tenant*, page by page."""
    keys, after = [], "0"
    while after is not None:
        page = stack.call("GET", f"/notifications?since={since_ns}&after={after}&limit=500", tenant=tenant).json
        assert {each["tenant"] for each in page["notifications"]} <= {tenant}
        keys += [each["idempotency_key"] for each in page["notifications"]]
        after = page["next"]
    return keys


def place(stack, tenant: str, count: int = 1) -> list[str]:
    """Place orders and return the keys of those that were acknowledged."""
    keys = [uuid.uuid4().hex for _ in range(count)]
    return [key for key in keys if stack.order(tenant, key=key).status == 201]


def wait_for_effects(stack, until, tenant: str, keys: list[str]) -> None:
    """Wait until every key has an effect, and see that none has two."""
    until(lambda: set(keys) <= set(notified(stack, tenant)), "every order has its effect")
    sent = notified(stack, tenant)
    assert [key for key in keys if sent.count(key) != 1] == []


def summary(stack, tenant: str) -> dict:
    return stack.call("GET", "/insights/summary", tenant=tenant).json


def test_an_order_is_confirmed_to_its_customer_and_counted(stack, until):
    before = summary(stack, "acme")
    keys = place(stack, "acme", 3)
    assert len(keys) == 3
    wait_for_effects(stack, until, "acme", keys)
    until(lambda: summary(stack, "acme")["orders"] == before["orders"] + 3, "insights counted the orders")
    after = summary(stack, "acme")
    assert after["revenue_cents"] == before["revenue_cents"] + 3 * 525
    assert after["tenant"] == "acme"
    assert after["staleness_ms"] is not None
    until(lambda: stack.metric("orders", "resilience_outbox_pending", tenant="acme") == 0, "the outbox is empty")


def test_tenants_see_their_own_effects_alone(stack, until):
    keys = place(stack, "globex", 2)
    wait_for_effects(stack, until, "globex", keys)
    assert set(keys) & set(notified(stack, "initech")) == set()


def publish(stack, subject: str, body: bytes, message_id: str | None = None) -> None:
    """Publish as somebody who is not orders."""

    async def send() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{stack.ports['broker']}")
        headers = {"Nats-Msg-Id": message_id or uuid.uuid4().hex}
        await client.jetstream(timeout=5).publish(subject, body, headers=headers)
        await client.close()

    asyncio.run(send())


def event(tenant: str, sequence: int = 1, key: str = "", **changes) -> bytes:
    body = {
        "type": "orders.confirmed",
        "tenant": tenant,
        "key": key or f"ord-{uuid.uuid4().hex}",
        "sequence": sequence,
        "occurred_ns": 1,
        "actor": {"subject": "app", "roles": ["tenant_user"]},
        "data": {"idempotency_key": key, "created_ns": 1, "lines": [], "total_cents": 0, "currency": "EUR"},
    }
    return json.dumps(body | changes).encode()


def dead_letters(stack, service: str, tenant: str) -> list[dict]:
    headers = {"Authorization": f"Bearer {stack.token(tenant, 'admin')}"}
    return stack.call("GET", "/dead-letters", at=service, headers=headers).json["dead_letters"]


def replay(stack, service: str, tenant: str) -> dict:
    headers = {"Authorization": f"Bearer {stack.token(tenant, 'admin')}"}
    return stack.call("POST", "/dead-letters/replay", at=service, headers=headers).json


@pytest.fixture
def without(stack):
    """Run a service without one of its protections for the length of a test."""
    changed = []

    def start(service: str, protection: str) -> None:
        changed.append(service)
        stack.restart(service, PROOFS="on", PROTECTIONS_OFF=protection)

    yield start
    for service in changed:
        stack.restart(service)


def test_orders_are_taken_while_the_broker_is_dead_and_their_effects_follow(stack, until):
    stack.stop("broker", signal.SIGKILL)
    keys = place(stack, "acme", 5)
    assert len(keys) == 5
    until(
        lambda: stack.metric("orders", "resilience_outbox_pending", tenant="acme") == 5, "the outbox grows and says so"
    )
    assert set(notified(stack, "acme")) & set(keys) == set()
    stack.start("broker")
    wait_for_effects(stack, until, "acme", keys)
    until(lambda: stack.metric("orders", "resilience_outbox_pending", tenant="acme") == 0, "the outbox is empty again")


def test_a_broker_that_hangs_holds_up_nobody_but_the_effects(stack, until):
    with stack.paused("broker"):
        keys = place(stack, "acme", 5)
        assert len(keys) == 5
        stale = summary(stack, "acme")["staleness_ms"]
        until(lambda: summary(stack, "acme")["staleness_ms"] > stale + 1000, "answers admit that they grow old")
    wait_for_effects(stack, until, "acme", keys)


def test_without_the_outbox_effects_are_lost_with_the_broker(stack, until, without):
    without("orders", "outbox")
    stack.stop("broker", signal.SIGKILL)
    lost = place(stack, "globex", 3)
    stack.start("broker")
    until(lambda: any(place(stack, "globex")[0] in notified(stack, "globex") for _ in range(2)), "events flow again")
    assert set(notified(stack, "globex")) & set(lost) == set()


def test_without_events_the_others_troubles_are_those_of_checkout(stack, until, without):
    without("notifications", "")
    without("insights", "")
    without("orders", "events")
    keys = place(stack, "acme", 2)
    assert set(keys) <= set(notified(stack, "acme"))
    with stack.paused("insights"):
        assert place(stack, "acme", 1) == []


def test_a_full_outbox_refuses_orders_rather_than_lose_their_events(stack, until):
    stack.restart("orders", OUTBOX_LIMIT="3")
    stack.stop("broker", signal.SIGKILL)
    replies = [stack.order("initech") for _ in range(5)]
    assert [reply.status for reply in replies] == [201, 201, 201, 503, 503]
    assert replies[-1].json["error"] == "outbox_full"
    assert stack.order("acme").status == 201
    stack.start("broker")
    until(lambda: stack.order("initech").status == 201, "there is room again")
    stack.restart("orders")


@pytest.mark.parametrize(
    ("subject", "body", "cause"),
    [
        ("orders.acme.confirmed", b"not json", "not valid JSON"),
        ("orders.acme.confirmed", event("globex"), "not that of its subject"),
        ("orders.acme.failed", event("acme"), "not that of its subject"),
        ("orders.acme.confirmed", event("acme", actor={"subject": "app", "roles": []}), "lacks the role"),
        ("orders.acme.confirmed", event("nobody"), "not served here"),
        ("orders.acme.confirmed", event("acme", sequence=0), "sequence must be"),
        ("orders.acme.confirmed", event("acme", data={}), "data.idempotency_key"),
    ],
)
def test_a_poison_event_is_set_aside_with_its_cause_and_blocks_nobody(stack, until, subject, body, cause):
    before = len(dead_letters(stack, "notifications", "acme"))
    publish(stack, subject, body)
    wait_for_effects(stack, until, "acme", place(stack, "acme", 2))
    letters = until(lambda: dead_letters(stack, "notifications", "acme")[before:], "the poison is a dead letter")
    assert [(letter["subject"], cause in letter["cause"]) for letter in letters] == [(subject, True)]
    assert dead_letters(stack, "notifications", "globex") == []


def test_an_event_of_nobody_is_set_aside_where_no_tenant_looks(stack, until):
    before = stack.metric("notifications", "resilience_events_consumed_total", tenant="", outcome="dead") or 0
    publish(stack, "orders.created", b"not json")
    labels = {"tenant": "", "outcome": "dead"}
    until(
        lambda: stack.metric("notifications", "resilience_events_consumed_total", **labels) == before + 1, "it is dead"
    )
    wait_for_effects(stack, until, "acme", place(stack, "acme"))


def test_without_dead_letters_a_poison_event_blocks_its_consumer(stack, until, without):
    without("notifications", "dead_letter")
    publish(stack, "orders.acme.confirmed", b"not json")
    keys = place(stack, "acme", 2)
    until(lambda: _complaints(stack) >= 4, "the poison is tried for ever")
    assert set(notified(stack, "acme")) & set(keys) == set()
    stack.restart("notifications")
    wait_for_effects(stack, until, "acme", keys)


def _complaints(stack) -> int:
    return sum("an event cannot be applied" in line["body"] for line in stack.logged("notifications")[-30:])


def test_a_dead_letter_is_replayed_when_what_it_lacked_has_come(stack, until):
    stack.restart("notifications", EVENT_GAP_PATIENCE_S="0.5")
    first = replay(stack, "notifications", "initech")
    key = f"ord-{uuid.uuid4().hex}"
    publish(stack, "orders.initech.confirmed", event("initech", 2, key))
    until(lambda: len(dead_letters(stack, "notifications", "initech")) == first["still_dead"] + 1, "it waited in vain")
    publish(stack, "orders.initech.failed", event("initech", 1, key, type="orders.failed"))
    until(lambda: replay(stack, "notifications", "initech")["applied"] == 1, "its turn has come")
    assert notified(stack, "initech").count(key) == 1
    assert replay(stack, "notifications", "initech") == {**first, "applied": 0}
    stack.restart("notifications")


def test_only_an_admin_sees_dead_letters(stack):
    assert stack.call("GET", "/dead-letters", tenant="acme", at="notifications").status == 403
    assert stack.call("POST", "/dead-letters/replay", tenant="acme", at="notifications").status == 403


def test_outside_of_proofs_nobody_can_hand_in_events_by_call(stack):
    assert (
        stack.call("POST", "/events", tenant="acme", at="notifications", body=json.loads(event("acme"))).status == 404
    )


def test_a_rebuild_gives_the_same_sums_and_answers_go_on(stack, until):
    headers = {"Authorization": f"Bearer {stack.token('acme', 'admin')}"}
    first = stack.call("POST", "/insights/rebuild", at="insights", headers=headers)
    assert first.status == 200  # what other tests had counted without the stream is gone now
    orders = summary(stack, "acme")["orders"]
    place(stack, "acme", 3)
    until(lambda: summary(stack, "acme")["orders"] == orders + 3, "insights is up to date")
    before = {tenant: _digest(stack, tenant) for tenant in ("acme", "globex", "initech")}
    with ThreadPoolExecutor(2) as pool:
        rebuilding = pool.submit(stack.call, "POST", "/insights/rebuild", at="insights", headers=headers)
        answers = [summary(stack, "acme")]
        while not rebuilding.done():
            answers.append(summary(stack, "acme"))
    assert rebuilding.result().status == 200
    assert {answer["orders"] for answer in answers} == {answers[0]["orders"]}
    after = {tenant: _digest(stack, tenant) for tenant in before}
    assert {tenant: each["digest"] for tenant, each in after.items()} == {
        tenant: each["digest"] for tenant, each in before.items()
    }
    assert after["acme"]["generation"] == before["acme"]["generation"] + 1
    place(stack, "acme", 1)
    until(lambda: summary(stack, "acme")["orders"] == orders + 4, "events go on into the new generation")


def _digest(stack, tenant: str) -> dict:
    return stack.call("GET", "/insights/digest", tenant=tenant, at="insights").json


def test_without_a_read_side_the_answer_waits_for_orders(stack, until, without):
    until(lambda: stack.metric("insights", "resilience_consumer_lag") == 0, "insights is up to date")
    kept = summary(stack, "globex")
    with stack.paused("orders"):
        assert summary(stack, "globex")["orders"] == kept["orders"]
    without("insights", "cqrs")
    asked = summary(stack, "globex")
    assert asked["revenue_cents"] == sum(order["total_cents"] for order in _orders(stack, "globex"))
    with stack.paused("orders"):
        assert stack.call("GET", "/insights/summary", tenant="globex").status >= 500


def _orders(stack, tenant: str) -> list[dict]:
    return stack.call("GET", "/orders?limit=500", tenant=tenant).json["orders"]


def test_the_trace_of_an_order_leads_to_its_effects(stack, until, collector):
    trace_id = uuid.uuid4().hex
    reply = stack.order("acme", headers={"traceparent": f"00-{trace_id}-{uuid.uuid4().hex[:16]}-01"})
    assert reply.status == 201
    (produced,) = until(
        lambda: _spans(collector, "PRODUCER", lambda span: span.trace_id == trace_id),
        "the event was published in the trace of the order",
    )
    link = (trace_id, produced.span_id)
    consumed = until(
        lambda: len(found := _spans(collector, "CONSUMER", lambda span: link in span.links)) == 2 and found,
        "both consumers link to it",
    )
    assert {span.service for span in consumed} == {"notifications", "insights"}
    assert {span.attributes["tenant.id"] for span in [produced, *consumed]} == {"acme"}
    assert produced.attributes["messaging.destination.name"] == "orders.acme.confirmed"
    assert trace_id not in {span.trace_id for span in consumed}


def _spans(collector, kind: str, matches) -> list:
    return [span for span in collector.spans() if span.kind == kind and matches(span)]
