import uuid

import pytest


def pay(stack, key, amount_cents, tenant="acme", currency="EUR"):
    body = {"amount_cents": amount_cents, "currency": currency}
    return stack.call("POST", "/payments", tenant=tenant, at="payments", headers={"Idempotency-Key": key}, body=body)


@pytest.mark.parametrize(("tenant", "provider"), [("acme", "provider-a"), ("globex", "provider-b")])
def test_a_payment_goes_through_the_tenants_provider_and_once(stack, tenant, provider):
    key = uuid.uuid4().hex
    first, second = (pay(stack, key, 700, tenant=tenant) for _ in range(2))
    assert (first.status, first.json["provider"], first.json["amount_cents"]) == (201, provider, 700)
    assert second.json == first.json


def test_a_key_that_paid_another_bill_is_refused(stack):
    key = uuid.uuid4().hex
    pay(stack, key, 700)
    reply = pay(stack, key, 800)
    assert (reply.status, reply.json["error"]) == (422, "key_reused")


def test_tenants_do_not_share_payment_keys(stack):
    key = uuid.uuid4().hex
    charges = {pay(stack, key, 700, tenant=tenant).json["charge"] for tenant in ("globex", "initech")}
    assert len(charges) == 2


def test_a_declined_payment_says_so(stack):
    reply = pay(stack, uuid.uuid4().hex, 10_000_000)
    assert (reply.status, reply.json["error"]) == (402, "declined")


@pytest.mark.parametrize("amount", [0, -5, 1.5, True, "700", None, 10**13])
def test_a_malformed_amount_is_the_callers_mistake(stack, amount):
    reply = pay(stack, uuid.uuid4().hex, amount)
    assert (reply.status, reply.json["error"]) == (400, "bad_request")


def test_a_provider_that_is_gone_is_named_as_the_failed_dependency(stack):
    stack.stop("provider-b")
    try:
        reply = pay(stack, uuid.uuid4().hex, 700, tenant="globex")
    finally:
        stack.start("provider-b")
        stack.wait("provider-b")
    assert (reply.status, reply.json["error"]) == (502, "provider_failed")
    assert reply.headers["x-failed-dependency"] == "provider-b"
