from concurrent.futures import ThreadPoolExecutor

import pytest

GENEROUS = "gold=500:500,silver=500:500"


@pytest.fixture
def gateway(stack):
    """Restarts the gateway with other settings, and with the usual ones afterwards."""
    yield lambda **settings: stack.restart("gateway", **{"RATE_LIMITS": GENEROUS, **settings})
    stack.restart("gateway", RATE_LIMITS=GENEROUS)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer a.b.c"}, {"Authorization": "Basic x"}])
def test_without_a_good_token_nobody_gets_in(stack, headers):
    reply = stack.call("GET", "/catalog/products", headers=headers)
    assert (reply.status, reply.json["error"]) == (401, "unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert len(reply.json["trace_id"]) == 32


@pytest.mark.parametrize("at", ["catalog", "orders", "inventory", "payments"])
def test_inner_services_check_tokens_for_themselves(stack, at):
    paths = {
        "catalog": ("GET", "/catalog/products"),
        "orders": ("GET", "/orders"),
        "inventory": ("GET", "/stock/sku-1"),
        "payments": ("POST", "/payments"),
    }
    method, path = paths[at]
    assert stack.call(method, path, at=at).status == 401
    forged = {"x-tenant-id": "globex"}
    reply = stack.call(method, path, at=at, tenant="acme", headers=forged)
    assert (reply.status, reply.json["error"]) == (403, "tenant_mismatch")


def test_a_tenant_header_that_contradicts_the_token_is_refused(stack):
    reply = stack.call("GET", "/catalog/products", tenant="acme", headers={"x-tenant-id": "globex"})
    assert (reply.status, reply.json["error"]) == (403, "tenant_mismatch")


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/orders/a/b", 404, "not_found"),
        ("GET", "/stock/sku-1", 404, "not_found"),
        ("DELETE", "/orders", 405, "method_not_allowed"),
        ("GET", "/orders/..%2f..%2fhealth", 404, "not_found"),
        ("GET", "/orders/ord-unknown", 404, "not_found"),
    ],
)
def test_what_is_not_offered_is_refused_in_json(stack, method, path, status, error):
    reply = stack.call(method, path, tenant="acme")
    assert (reply.status, reply.json["error"]) == (status, error)


def test_a_body_that_is_too_large_is_refused(stack):
    reply = stack.call("POST", "/orders", tenant="acme", body=b" " * 300_000, headers={"Idempotency-Key": "too-large"})
    assert (reply.status, reply.json["error"]) == (413, "body_too_large")


def test_over_its_rate_a_tenant_is_refused_and_its_neighbour_is_not(stack, gateway):
    gateway(RATE_LIMITS="gold=0.001:5,silver=0.001:3")
    replies = {
        tenant: [stack.call("GET", "/catalog/products/sku-1", tenant=tenant) for _ in range(6)]
        for tenant in ("globex", "acme")
    }
    statuses = {tenant: [reply.status for reply in each] for tenant, each in replies.items()}
    assert statuses == {"globex": [200] * 3 + [429] * 3, "acme": [200] * 5 + [429]}
    refusal = replies["globex"][-1]
    assert refusal.json["error"] == "rate_limited"
    assert int(refusal.headers["retry-after"]) >= 1
    assert stack.metric("gateway", "resilience_rate_limit_refused_total", tenant="globex") == 3
    assert stack.metric("gateway", "resilience_rate_limit_refused_total", tenant="initech") == 0


def test_logins_are_limited_apart_so_that_nobody_can_use_up_a_tenants_rate(stack, gateway):
    gateway(RATE_LIMITS="gold=0.001:3,silver=0.001:3")
    login = {"tenant": "acme", "client_secret": "wrong"}
    statuses = [stack.call("POST", "/identity/token", body=login).status for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    assert stack.call("GET", "/catalog/products/sku-1", tenant="acme").status == 200


def test_guessing_locks_nobody_out_who_knows_the_secret(stack, gateway):
    gateway(RATE_LIMITS="gold=0.001:3,silver=0.001:3")
    good, wrong = ({"tenant": "acme", "client_secret": secret} for secret in ("acme-demo-secret", "wrong"))
    assert stack.call("POST", "/identity/token", body=good).status == 200
    statuses = [stack.call("POST", "/identity/token", body=wrong).status for _ in range(4)]
    assert statuses == [401, 401, 429, 429]
    assert stack.call("POST", "/identity/token", body=good).status == 200


def test_without_the_rate_limit_nobody_is_refused(stack, gateway):
    gateway(RATE_LIMITS="gold=1:1,silver=1:1", PROOFS="on", PROTECTIONS_OFF="rate_limit")
    assert {stack.call("GET", "/catalog/products/sku-1", tenant="globex").status for _ in range(10)} == {200}


def test_a_tenant_has_only_so_many_requests_under_way_and_its_neighbour_its_own(stack, gateway):
    gateway(TENANT_CONCURRENCY="2")
    for tenant in ("acme", "globex"):
        stack.token(tenant)
    with stack.paused("catalog"), ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(stack.call, "GET", "/catalog/products/sku-1", tenant="acme") for _ in range(6)]
        statuses = sorted(each.result().status for each in asked)
    assert statuses == [503] * 4 + [504] * 2
    reply = next(each.result() for each in asked if each.result().status == 503)
    assert (reply.json["error"], reply.headers["retry-after"]) == ("too_many_concurrent_requests", "1")
    rejected = {"name": "gateway:tenant:acme", "outcome": "full"}
    assert stack.metric("gateway", "resilience_bulkhead_rejected_total", **rejected) == 4
    assert stack.metric("gateway", "resilience_bulkhead_in_use", name="gateway:tenant:acme") == 0
    assert stack.metric("gateway", "resilience_bulkhead_limit", name="gateway:tenant:globex") == 2


def test_with_identity_gone_known_callers_go_on(stack):
    stack.token("acme")
    stack.stop("identity")
    try:
        assert stack.call("GET", "/catalog/products/sku-1", tenant="acme").status == 200
        login = stack.call("POST", "/identity/token", body={"tenant": "acme", "client_secret": "x"})
        assert (login.status, login.json["error"]) == (502, "service_unreachable")
    finally:
        stack.start("identity")
        stack.wait("identity")


def test_every_request_leaves_one_line_in_the_access_log(stack):
    before = len(stack.logged("gateway"))
    reply = stack.call("GET", "/catalog/products/sku-1", tenant="acme")
    assert reply.status == 200
    (line,) = [line for line in stack.logged("gateway")[before:] if line["body"] == "request"]
    assert {name: line[name] for name in ("severity", "service", "tenant", "method", "route", "status")} == {
        "severity": "INFO",
        "service": "gateway",
        "tenant": "acme",
        "method": "GET",
        "route": "/catalog/products/{sku}",
        "status": 200,
    }
    assert line["duration_ms"] > 0
    assert (len(line["trace_id"]), len(line["span_id"])) == (32, 16)
    assert line["time"].endswith("Z")
