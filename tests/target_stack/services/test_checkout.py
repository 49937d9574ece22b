import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest


def stock_of(stack, tenant: str, sku: str) -> int:
    return stack.call("GET", f"/stock/{sku}", tenant=tenant, at="inventory").json["available"]


def listed(stack, tenant: str, since_ns: int, limit: int = 500) -> list[dict]:
    orders, cursor = [], ""
    while cursor is not None:
        path = f"/orders?since={since_ns}&after={cursor}&limit={limit}"
        page = stack.call("GET", path, tenant=tenant).json
        assert page["tenant"] == tenant
        orders += page["orders"]
        cursor = page["next"]
    return orders


def order_of(reply) -> dict:
    """Return the order without what is recommended beside it, which changes from answer to answer."""
    return {name: value for name, value in reply.json.items() if name != "recommended"}


def test_an_order_is_priced_stored_and_found(stack):
    key = uuid.uuid4().hex
    items = [{"sku": "sku-2", "quantity": 3}, {"sku": "sku-10", "quantity": 1}]
    reply = stack.order("acme", key=key, items=items)
    assert reply.status == 201
    order = order_of(reply)
    assert {name: order[name] for name in ("tenant", "idempotency_key", "status", "total_cents", "currency")} == {
        "tenant": "acme",
        "idempotency_key": key,
        "status": "confirmed",
        "total_cents": 3 * 550 + 750,
        "currency": "EUR",
    }
    assert order["lines"] == [
        {"sku": "sku-10", "quantity": 1, "price_cents": 750},
        {"sku": "sku-2", "quantity": 3, "price_cents": 550},
    ]
    found = stack.call("GET", f"/orders/{order['id']}", tenant="acme")
    assert (found.status, found.json) == (200, order)


def test_the_same_key_gives_the_same_order_and_takes_stock_once(stack):
    key, before = uuid.uuid4().hex, stock_of(stack, "globex", "sku-1")
    first, second = (stack.order("globex", key=key) for _ in range(2))
    assert (second.status, order_of(second)) == (201, order_of(first))
    assert stock_of(stack, "globex", "sku-1") == before - 1


def test_a_key_for_another_order_is_refused(stack):
    key = uuid.uuid4().hex
    stack.order("acme", key=key)
    reply = stack.order("acme", key=key, items=[{"sku": "sku-2", "quantity": 1}])
    assert (reply.status, reply.json["error"]) == (422, "key_reused")


def test_tenants_do_not_share_keys_or_orders(stack):
    key = uuid.uuid4().hex
    mine, theirs = stack.order("acme", key=key), stack.order("globex", key=key)
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.json["id"] != theirs.json["id"]
    assert stack.call("GET", f"/orders/{mine.json['id']}", tenant="globex").status == 404


def test_of_concurrent_requests_with_one_key_one_order_comes_about(stack):
    key, since_ns = uuid.uuid4().hex, time.time_ns()
    stack.token("initech")
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: stack.order("initech", key=key), range(8)))
    assert {reply.status for reply in replies} <= {201, 409}
    assert len({reply.json["id"] for reply in replies if reply.status == 201}) == 1
    assert {reply.json["error"] for reply in replies if reply.status == 409} <= {"in_progress"}
    assert [order["idempotency_key"] for order in listed(stack, "initech", since_ns)] == [key]


def test_acknowledged_orders_are_listed_page_by_page_since_a_moment(stack):
    stack.order("acme", key=uuid.uuid4().hex)
    since_ns = time.time_ns()
    placed = [order_of(stack.order("acme")) for _ in range(5)]
    assert listed(stack, "acme", since_ns, limit=2) == placed
    assert listed(stack, "acme", since_ns) == placed
    assert listed(stack, "acme", time.time_ns()) == []


@pytest.mark.parametrize(
    "items",
    [
        None,
        [],
        {},
        "sku-1",
        [None],
        [{}],
        [{"sku": "sku-1"}],
        [{"sku": "sku-1", "quantity": 0}],
        [{"sku": "sku-1", "quantity": -1}],
        [{"sku": "sku-1", "quantity": 1.5}],
        [{"sku": "sku-1", "quantity": True}],
        [{"sku": "sku-1", "quantity": "1"}],
        [{"sku": "sku-1", "quantity": 10**30}],
        [{"sku": "../../x", "quantity": 1}],
        [{"sku": "sku-1\x00", "quantity": 1}],
        [{"sku": 7, "quantity": 1}],
        [{"sku": "sku-1", "quantity": 1}] * 2,
        [{"sku": f"sku-{number}", "quantity": 1} for number in range(1, 22)],
    ],
)
def test_a_malformed_order_is_the_clients_mistake(stack, items):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    reply = stack.call("POST", "/orders", tenant="acme", headers=headers, body={"items": items})
    assert (reply.status, reply.json["error"]) == (400, "bad_request")


@pytest.mark.parametrize("key", [None, "", " ", "a" * 201, "a b"])
def test_without_a_proper_key_no_order_is_taken(stack, key):
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {"items": [{"sku": "sku-1", "quantity": 1}]}
    reply = stack.call("POST", "/orders", tenant="acme", headers=headers, body=body)
    assert (reply.status, reply.json["error"]) == (400, "idempotency_key_missing")


@pytest.mark.parametrize(
    "query", ["since=x", "since=-1", "since=99999999999999999999", "limit=501", "after=x", "after=1", "after=9.%00"]
)
def test_a_malformed_listing_is_the_clients_mistake(stack, query):
    reply = stack.call("GET", f"/orders?{query}", tenant="acme")
    assert (reply.status, reply.json["error"]) == (400, "bad_request")


def test_an_unknown_product_cannot_be_ordered_and_the_key_stays_usable(stack, until):
    key = uuid.uuid4().hex
    wrong = [{"sku": "sku-999", "quantity": 1}]
    reply = stack.order("acme", key=key, items=wrong)
    assert (reply.status, reply.json["error"]) == (404, "not_found")
    until(lambda: stack.order("acme", key=key, items=wrong).status == 404, "the key is free again")


def test_a_declined_payment_puts_the_goods_back(stack, until):
    before = stock_of(stack, "acme", "sku-200")
    expensive = [{"sku": "sku-200", "quantity": 1000}, {"sku": "sku-199", "quantity": 1000}]
    reply = stack.order("acme", items=expensive)
    assert (reply.status, reply.json["error"]) == (402, "payment_declined")
    until(lambda: stock_of(stack, "acme", "sku-200") == before, "the goods are back on the shelf")
