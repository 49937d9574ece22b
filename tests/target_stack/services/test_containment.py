"""What happens to one tenant, and to no other: events, rates, payments and a database without a free connection."""

import contextlib
import time
import uuid

import pytest

from tests.target_stack.services.test_events import notified, place, wait_for_effects


@pytest.fixture
def without(stack):
    """Run a service without one of its protections for the length of a test."""
    changed = []

    def start(service: str, protection: str, **settings: str) -> None:
        changed.append(service)
        stack.restart(service, PROOFS="on", PROTECTIONS_OFF=protection, **settings)

    yield start
    for service in changed:
        stack.restart(service, **({"RATE_LIMITS": "gold=500:500,silver=500:500"} if service == "gateway" else {}))


@pytest.fixture
def no_connections(postgres):
    """Take the connections of a database away from its service, and give them back."""

    @contextlib.contextmanager
    def taken(database: str):
        postgres.run(f"ALTER DATABASE {database} CONNECTION LIMIT 0")
        postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
        try:
            yield
        finally:
            postgres.run(f"ALTER DATABASE {database} CONNECTION LIMIT -1")

    return taken


@pytest.fixture
def slow_shared_database(orders_database):
    """Slow the database that globex and initech share, for the length of a test."""

    def slow() -> None:
        orders_database.delay_s = 3.0

    yield slow
    orders_database.delay_s = 0.0


def within(seconds: float, condition) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(("off", "in_time"), [("", True), ("relay_share", False)])
def test_a_slow_database_of_others_does_not_hold_up_a_tenants_events(
    stack, without, slow_shared_database, off, in_time
):
    without("orders", off)
    place(stack, "acme")  # whatever is warm is warm now
    slow_shared_database()
    time.sleep(1)  # the sweeps are at work on it
    keys = place(stack, "acme", 3)
    assert len(keys) == 3
    assert within(1.5, lambda: set(keys) <= set(notified(stack, "acme"))) is in_time


def test_an_event_that_cannot_be_published_is_parked_seen_by_its_admin_and_stops_nobody(stack, postgres, until):
    key = f"ord-{uuid.uuid4().hex}"
    postgres.run(
        f"INSERT INTO outbox VALUES ('initech', '{key}', 1, 'no type', 1, 'app', '[\"tenant_user\"]', '', '{{}}')",
        database="orders",
    )
    try:
        wait_for_effects(stack, until, "initech", place(stack, "initech", 3))
        wait_for_effects(stack, until, "globex", place(stack, "globex", 1))
        admin = {"Authorization": f"Bearer {stack.token('initech', 'admin')}"}
        found = until(
            lambda: stack.call("GET", "/outbox/parked", at="orders", headers=admin).json["parked"], "it is parked"
        )
        assert [(each["key"], each["type"], "type must be" in each["cause"]) for each in found] == [
            (key, "no type", True)
        ]
        assert stack.metric("orders", "resilience_outbox_parked", tenant="initech") == 1
        released = stack.call("POST", "/outbox/parked/release", at="orders", headers=admin)
        assert released.json == {"tenant": "initech", "released": 1}
        assert stack.call("GET", "/outbox/parked", at="orders", tenant="initech").status == 403
    finally:
        postgres.run(f"DELETE FROM outbox WHERE key = '{key}'", database="orders")


@pytest.mark.parametrize(("off", "twice"), [("", False), ("outbox_once", True)])
def test_an_event_is_published_once_unless_its_id_does_not_count(stack, until, without, off, twice):
    without("orders", off)
    labels = {"tenant": "globex", "outcome": "repeated"}
    before = stack.metric("notifications", "resilience_events_consumed_total", **labels)
    wait_for_effects(stack, until, "globex", place(stack, "globex", 3))
    after = stack.metric("notifications", "resilience_events_consumed_total", **labels)
    assert (after > before) is twice


@pytest.mark.parametrize(("off", "waits"), [("", False), ("outbox_aside", True)])
def test_no_customer_waits_for_the_broker_unless_its_event_goes_first(stack, until, without, off, waits):
    without("orders", off)
    stack.stop("broker")
    try:
        started_s = time.monotonic()
        keys = place(stack, "acme", 1)
        assert (time.monotonic() - started_s >= 1.0) is waits
    finally:
        stack.start("broker")
        stack.wait("broker")
    wait_for_effects(stack, until, "acme", keys)


@pytest.mark.parametrize(("off", "kept"), [("", True), ("ack_after_effect", False)])
def test_an_event_whose_effect_fails_comes_again_unless_it_was_acknowledged(
    stack, until, without, no_connections, off, kept
):
    without("notifications", off)
    with no_connections("notifications"):
        keys = place(stack, "acme", 2)
        time.sleep(1)  # the consumer has them
    wait_for_effects(stack, until, "acme", place(stack, "acme", 1))
    assert within(5 if kept else 2, lambda: set(keys) <= set(notified(stack, "acme"))) is kept


@pytest.mark.parametrize(("off", "foreign"), [("", False), ("tenant_filter", True)])
def test_a_list_holds_the_tenants_own_rows_unless_nothing_filters(stack, until, without, off, foreign):
    wait_for_effects(stack, until, "acme", place(stack, "acme", 1))
    without("notifications", off)
    listed = stack.call("GET", "/notifications?limit=500", tenant="globex").json["notifications"]
    assert ("acme" in {each["tenant"] for each in listed}) is foreign


def payments_for(stack, reference: str) -> int:
    made, after = [], ""
    while after is not None:
        page = stack.call("GET", f"/payments?after={after}&limit=500", tenant="acme").json
        assert page["tenant"] == "acme"
        assert {each["tenant"] for each in page["payments"]} <= {"acme"}
        made += [each["reference"] for each in page["payments"]]
        after = page["next"]
    return made.count(reference)


def pay(stack, key: str, reference: str):
    body = {"amount_cents": 700, "currency": "EUR", "reference": reference}
    return stack.call("POST", "/payments", tenant="acme", at="payments", headers={"Idempotency-Key": key}, body=body)


@pytest.mark.parametrize(("off", "times"), [("", 1), ("idempotency", 2)])
def test_what_is_asked_twice_under_one_key_is_paid_once_unless_keys_do_not_count(stack, without, off, times):
    without("payments", off)
    key, reference = uuid.uuid4().hex, uuid.uuid4().hex
    assert {pay(stack, key, reference).status for _ in range(2)} == {201}
    assert payments_for(stack, reference) == times


def test_each_order_has_its_payment_under_the_customers_own_key(stack):
    (key,) = place(stack, "acme", 1)
    assert payments_for(stack, key) == 1


@pytest.mark.parametrize("reference", [7, None, [], "a" * 201, "a\x00b"])
def test_a_reference_that_is_none_is_the_callers_mistake(stack, reference):
    assert pay(stack, uuid.uuid4().hex, reference).status == 400


def stock(stack) -> int:
    return stack.call("GET", "/stock/sku-200", tenant="acme", at="inventory").json["available"]


@pytest.mark.parametrize(("off", "back"), [("", True), ("compensation", False)])
def test_a_declined_payment_puts_the_goods_back_unless_nothing_is_undone(stack, without, off, back):
    without("orders", off)
    before = stock(stack)
    expensive = [{"sku": "sku-200", "quantity": 1000}, {"sku": "sku-199", "quantity": 1000}]
    assert stack.order("acme", items=expensive).status == 402
    assert within(3, lambda: stock(stack) == before) is back


HISTORY = "/catalog/products/sku-1/history"


@pytest.mark.parametrize(
    ("off", "status", "stale"),
    [
        ("", 503, True),
        ("error_classes", 500, False),
        ("honest_errors", 200, True),
        ("stale_answers", 503, False),
        ("stale_mark", 503, None),
    ],
)
def test_a_database_without_a_free_connection_gives_what_was_known_or_a_503(
    stack, without, no_connections, off, status, stale
):
    without("catalog", off)
    product = "/catalog/products/sku-2"
    assert stack.call("GET", product, tenant="initech").status == 200
    marked = stack.metric("gateway", "resilience_stale_answers_total", tenant="initech")
    with no_connections("catalog"):
        time.sleep(0.2)
        known = [stack.call("GET", product, tenant="initech") for _ in range(3)][-1]
        history = [stack.call("GET", HISTORY, tenant="initech") for _ in range(10)][-1]
        if off == "":
            assert int(history.headers["retry-after"]) >= 1
    assert history.status == status
    if stale is None:
        assert (known.status, "stale" in known.json, "x-stale" in known.headers) == (200, False, False)
    elif stale:
        assert (known.status, known.json["stale"], known.headers["x-stale"]) == (200, True, "true")
        assert stack.metric("gateway", "resilience_stale_answers_total", tenant="initech") > marked
    else:
        assert known.status >= 500
    assert within(5, lambda: stack.call("GET", HISTORY, tenant="initech").status == 200)


@pytest.mark.parametrize(("off", "neighbour"), [("", 200), ("rate_share", 429)])
def test_a_tenant_has_a_rate_of_its_own_unless_all_share_one(stack, without, off, neighbour):
    without("gateway", off, RATE_LIMITS="gold=0.001:3,silver=0.001:3")
    for _ in range(4):
        stack.call("GET", "/catalog/products/sku-1", tenant="globex")
    assert stack.call("GET", "/catalog/products/sku-1", tenant="acme").status == neighbour


@pytest.mark.parametrize(("off", "error"), [("", "not_found"), ("error_handler", None)])
def test_an_error_says_what_it_is_unless_its_handler_fails(stack, without, off, error):
    without("orders", off)
    reply = stack.order("acme", items=[{"sku": "sku-999", "quantity": 1}])
    if error is None:
        assert (reply.status, b"trace_id" in reply.body) == (500, False)
    else:
        assert (reply.status, reply.json["error"], len(reply.json["trace_id"])) == (404, error, 32)


@pytest.mark.parametrize(("off", "counted"), [("", True), ("tenant_telemetry", False)])
def test_requests_are_counted_by_tenant_unless_nobody_says_whose_they_are(stack, without, off, counted):
    without("gateway", off, RATE_LIMITS="gold=500:500,silver=500:500")
    for _ in range(3):
        stack.call("GET", "/catalog/products/sku-1", tenant="acme")
    labels = {"route": "/catalog/products/{sku}", "method": "GET", "status": "200"}
    assert stack.metric("gateway", "http_server_requests_total", **labels, tenant="acme") == (3 if counted else 0)


@pytest.mark.parametrize(("off", "status"), [("", 200), ("key_overlap", 401)])
def test_a_token_outlives_the_key_that_signed_it_unless_keys_do_not_overlap(stack, without, off, status):
    without("identity", off)
    stack.tokens.clear()
    old = stack.token("globex")
    rotated = stack.call("POST", "/identity/keys/rotate", at="identity", body={})
    assert rotated.status == 200
    stack.tokens.clear()
    fresh = stack.token("acme")
    headers = {"Authorization": f"Bearer {fresh}"}
    until_known = within(5, lambda: stack.call("GET", "/me", headers=headers).status == 200)
    assert until_known
    assert stack.call("GET", "/me", headers={"Authorization": f"Bearer {old}"}).status == status
    stack.tokens.clear()


def test_a_tenant_whose_own_database_is_away_at_the_start_keeps_nobody_else_waiting(stack):
    stack.restart("catalog", DATABASE_URL_ACME="postgresql://catalog_acme@127.0.0.1:1/catalog_acme")
    try:
        statuses = {
            tenant: stack.call("GET", "/catalog/products/sku-1", tenant=tenant).status for tenant in ("globex", "acme")
        }
        assert statuses == {"globex": 200, "acme": 503}
    finally:
        stack.restart("catalog")
