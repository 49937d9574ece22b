"""Roles and tenants are checked in the service that is asked, whoever asks."""

import pytest

ADMIN_ROUTES = (
    ("identity", "gateway", "GET", "/identity/users"),
    ("notifications", "gateway", "GET", "/dead-letters"),
    ("notifications", "gateway", "POST", "/dead-letters/replay"),
    ("insights", "gateway", "GET", "/dead-letters"),
    ("insights", "gateway", "POST", "/dead-letters/replay"),
)
DOORS = (
    ("catalog", "gateway", "GET", "/catalog/products"),
    ("inventory", "orders", "GET", "/stock/sku-1"),
    ("orders", "gateway", "GET", "/orders"),
    ("notifications", "gateway", "GET", "/notifications"),
    ("insights", "gateway", "GET", "/insights/summary"),
)
WRITES = (
    ("payments", "orders", "/payments", {"amount_cents": 100, "currency": "EUR"}),
    ("inventory", "orders", "/reservations", {"quantities": {"sku-1": 1}}),
    ("orders", "gateway", "/orders", {"items": [{"sku": "sku-1", "quantity": 1}]}),
)


@pytest.mark.parametrize(("service", "identity", "method", "path"), ADMIN_ROUTES)
def test_a_user_is_no_admin_even_with_a_good_certificate(stack, service, identity, method, path):
    reply = stack.call(method, path, at=service, identity=identity, tenant="acme")
    assert (reply.status, reply.json["error"]) == (403, "forbidden")


@pytest.mark.parametrize(("service", "identity", "method", "path"), DOORS)
def test_another_tenant_in_header_or_query_is_refused(stack, service, identity, method, path):
    ask = {"at": service, "identity": identity, "tenant": "acme"}
    replies = [
        stack.call(method, path, headers={"x-tenant-id": "globex"}, **ask),
        stack.call(method, f"{path}?tenant=globex", **ask),
        stack.call(method, f"{path}?tenant=acme&tenant=globex", **ask),
        stack.call(method, f"{path}?tenant_id=globex", **ask),
    ]
    assert [(each.status, each.json["error"]) for each in replies] == [(403, "tenant_mismatch")] * 4
    assert stack.call(method, f"{path}?tenant=acme", **ask).status == 200


@pytest.mark.parametrize(("service", "identity", "path", "body"), WRITES)
@pytest.mark.parametrize("named", ["globex", 7, None, ["acme"], ""])
def test_another_tenant_in_the_body_is_refused(stack, service, identity, path, body, named):
    headers = {"Idempotency-Key": "cross-tenant-body"}
    ask = {"at": service, "identity": identity, "tenant": "acme", "headers": headers}
    reply = stack.call("POST", path, body={**body, "tenant": named}, **ask)
    assert (reply.status, reply.json["error"]) == (403, "tenant_mismatch")


def test_the_gateway_passes_on_what_the_service_refuses(stack):
    reply = stack.call("GET", "/orders?tenant=globex", tenant="acme")
    assert (reply.status, reply.json["error"]) == (403, "tenant_mismatch")


def test_another_tenants_order_is_not_there(stack):
    order = stack.order("globex").json["id"]
    assert stack.call("GET", f"/orders/{order}", tenant="globex").status == 200
    assert stack.call("GET", f"/orders/{order}", tenant="acme").status == 404


def test_a_service_that_leaves_it_to_the_gateway_gives_everything_away(stack, without):
    without("orders", "service_roles")
    stack.order("globex")
    reply = stack.call(
        "GET", "/orders", at="orders", identity="gateway", tenant="acme", headers={"x-tenant-id": "globex"}
    )
    assert reply.status == 200
    assert {order["tenant"] for order in reply.json["orders"]} == {"globex"}
