"""What callers see when something below them hangs, dies or crawls; each protection is also tried without."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

SLOW_ROUND_TRIP_S = 0.4  # a checkout makes six to eight of them: over its deadline of 1.5 s, below the cut-off at 4.5 s
PROVIDER_A = "payments -> provider-a"


@pytest.fixture
def orders(stack):
    """Restarts orders with other settings, and with the usual ones afterwards."""
    yield lambda **settings: stack.restart("orders", PROOFS="on", **settings)
    stack.restart("orders")


@pytest.fixture
def slow_database(stack, orders_database, until):
    orders_database.delay_s = SLOW_ROUND_TRIP_S
    yield
    orders_database.delay_s = 0.0
    until(lambda: stack.order("globex").status == 201, "orders works again")


@pytest.fixture
def fresh_payments(stack, until):
    """Breakers that have seen nothing before and leave nothing behind."""
    stack.restart("payments")
    yield
    until(lambda: stack.order("acme").status == 201, "acme can pay again")


def order_at_once(stack, tenant, times):
    stack.token(tenant)
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda _: stack.order(tenant), range(times)))


def breaker_state(stack, name=PROVIDER_A):
    return stack.metric("payments", "resilience_breaker_state", name=name)


@pytest.mark.usefixtures("fresh_payments")
def test_a_hanging_provider_costs_its_own_tenants_a_clear_error_and_nobody_else_anything(stack, until):
    with stack.paused("provider-a"):
        refusals = order_at_once(stack, "acme", 6)
        assert {(reply.status, reply.json["error"]) for reply in refusals} <= {
            (503, "payment_unavailable"),
            (504, "deadline_exceeded"),
        }
        assert all(int(reply.headers["retry-after"]) >= 1 for reply in refusals)
        assert breaker_state(stack) == 2
        assert stack.order("acme").json["error"] == "payment_unavailable"
        assert stack.metric("payments", "resilience_breaker_refused_total", name=PROVIDER_A) >= 1
        assert stack.order("globex").status == 201
        assert stack.call("GET", "/catalog/products/sku-1", tenant="acme").status == 200
    until(lambda: stack.order("acme").status == 201, "acme can pay again")
    assert breaker_state(stack) == 0
    assert breaker_state(stack, "payments -> provider-b") == 0
    assert stack.metric("orders", "resilience_breaker_transitions_total", **_opened("orders -> payments")) == 0


def _opened(name):
    return {"name": name, "from_state": "closed", "to_state": "open"}


def test_without_its_breaker_payments_goes_on_calling_a_hanging_provider(stack, until):
    stack.restart("payments", PROOFS="on", PROTECTIONS_OFF="breaker")
    try:
        with stack.paused("provider-a"):
            for _ in range(2):
                assert {reply.status for reply in order_at_once(stack, "acme", 6)} <= {503, 504}
            attempts = stack.metric("payments", "resilience_retry_attempts_total", link=PROVIDER_A, attempt="0")
        assert attempts >= 12
        assert breaker_state(stack) is None
    finally:
        stack.restart("payments")
        until(lambda: stack.order("acme").status == 201, "acme can pay again")


@pytest.mark.usefixtures("fresh_payments")
def test_a_dead_provider_is_a_quick_clear_error(stack):
    stack.stop("provider-a")
    try:
        reply = stack.order("acme")
    finally:
        stack.start("provider-a")
        stack.wait("provider-a")
    assert (reply.status, reply.json["error"]) == (503, "payment_unavailable")


@pytest.mark.usefixtures("fresh_payments")
def test_a_failed_payment_puts_the_goods_back_and_the_same_key_works_later(stack, until):
    key, sku = uuid.uuid4().hex, "sku-77"

    def on_the_shelf():
        return stack.call("GET", f"/stock/{sku}", tenant="acme", at="inventory").json["available"]

    before, items = on_the_shelf(), [{"sku": sku, "quantity": 2}]
    stack.stop("provider-a")
    try:
        assert stack.order("acme", key=key, items=items).status == 503
        until(lambda: on_the_shelf() == before, "the goods are back")
    finally:
        stack.start("provider-a")
        stack.wait("provider-a")
    until(lambda: stack.order("acme", key=key, items=items).status == 201, "the key can be used again")
    assert on_the_shelf() == before - 2


@pytest.mark.parametrize(
    ("callee", "error"),
    [
        ("catalog", "catalog_unavailable"),
        ("inventory", "inventory_unavailable"),
        ("payments", "payment_unavailable"),
    ],
)
def test_a_dead_callee_of_orders_is_a_clear_error(stack, until, callee, error):
    stack.stop(callee)
    try:
        reply = stack.order("globex")
    finally:
        stack.start(callee)
        stack.wait(callee)
    assert (reply.status, reply.json["error"]) == (503, error)
    until(lambda: stack.order("globex").status == 201, "orders works again")


@pytest.mark.usefixtures("slow_database")
def test_a_slow_database_ends_checkouts_at_their_deadline(stack):
    reply = stack.order("globex")
    assert (reply.status, reply.json["error"]) == (504, "deadline_exceeded")
    assert stack.metric("orders", "resilience_deadline_exceeded_total", route="/orders") >= 1
    assert stack.call("GET", "/catalog/products/sku-1", tenant="globex").status == 200


def test_without_the_deadline_a_checkout_takes_as_long_as_its_database(stack, orders, request):
    orders(PROTECTIONS_OFF="deadline")
    request.getfixturevalue("slow_database")
    assert stack.order("globex").status == 201


def test_a_switched_off_protection_is_announced(stack, orders):
    orders(PROTECTIONS_OFF="retry_budget,breaker")
    warnings = [line for line in stack.logged("orders") if line["severity"] == "WARNING" and "off" in line]
    assert warnings[-1]["off"] == ["breaker", "retry_budget"]


def test_retries_stay_within_the_budget_and_without_it_they_do_not(stack, orders, until):
    def attempts_at_a_dead_callee():
        stack.stop("inventory")
        try:
            for _ in range(12):
                assert stack.order("globex").status == 503
        finally:
            stack.start("inventory")
            stack.wait("inventory")
        link = "orders -> inventory"
        counts = [
            stack.metric("orders", "resilience_retry_attempts_total", link=link, attempt=str(n)) for n in (0, 1, 2)
        ]
        until(lambda: stack.order("globex").status == 201, "orders works again")
        return counts

    orders(PROTECTIONS_OFF="breaker")
    first, second, third = attempts_at_a_dead_callee()
    assert second + third <= 5 + 0.15 * first
    orders(PROTECTIONS_OFF="breaker,retry_budget")
    assert attempts_at_a_dead_callee() == [first, first, first]
