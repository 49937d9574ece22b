"""Change at run time: flags, the move from the monolith to billing, and a new version of catalog."""

import json
import uuid

import pytest

from tests.target_stack.conftest import TARGET, free_port, http_call

SERVICES = [name for name, service in TARGET["services"].items() if "command" in service]
KIT_SERVICES = [name for name in SERVICES if name not in ("broker",)]
CALLERS = [name for name in KIT_SERVICES if any(link.startswith(f"{name} -> ") for link in TARGET["links"])]


def set_flag(stack, flag, value, tenant=None):
    reply = http_call(stack.ports["flags:operator"], "PUT", f"/flags/{flag}", body={"value": value, "tenant": tenant})
    assert reply.status == 200, reply.body


@pytest.fixture
def flag(stack, until):
    """Set flags for one test."""
    touched = []

    def change(name, value, tenant=None):
        touched.append((name, tenant))
        set_flag(stack, name, value, tenant)

    before = json.loads(http_call(stack.ports["flags"], "GET", "/flags").body)["flags"]
    yield change
    for name, tenant in touched:
        set_flag(stack, name, before[name]["variants"][before[name]["defaultVariant"]], tenant)


def routed(stack, source, tenant="acme"):
    return stack.metric("gateway", "resilience_strangler_requests_total", tenant=tenant, source=source) or 0.0


def invoice(stack, tenant, cents=1999, key=None):
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    body = {"amount_cents": cents, "currency": "EUR"}
    return stack.call("POST", "/billing/invoices", tenant=tenant, headers=headers, body=body)


def listed(stack, tenant, at="gateway"):
    found, after = [], ""
    while after is not None:
        reply = stack.call("GET", f"/billing/invoices?limit=500&after={after}", tenant=tenant, at=at)
        assert reply.status == 200, reply.body
        found += reply.json["invoices"]
        after = reply.json["next"]
    return found


def moved_to(stack, until, source, tenant="acme"):
    def arrived():
        before = routed(stack, source, tenant)
        listed(stack, tenant)
        return routed(stack, source, tenant) > before

    until(arrived, f"{tenant} is served from {source}")


def test_invoices_are_equal_wherever_they_come_from_and_none_is_lost_on_the_way(stack, flag, until):
    keys = []
    for source in ("legacy", "shadow", "billing", "shadow", "legacy"):
        flag("billing.source", source, "acme")
        moved_to(stack, until, source)
        replies = [invoice(stack, "acme", cents=1000 + number) for number in range(3)]
        assert {reply.status for reply in replies} == {201}
        keys += [reply.json["idempotency_key"] for reply in replies]
        assert {each["idempotency_key"] for each in listed(stack, "acme")} >= set(keys)
    assert listed(stack, "acme", at="legacy") == listed(stack, "acme", at="billing")
    assert stack.metric("gateway", "resilience_strangler_mismatches_total", tenant="acme") == 0


def test_a_flag_for_one_tenant_moves_nobody_else(stack, flag, until):
    flag("billing.source", "billing", "acme")
    moved_to(stack, until, "billing")
    before = routed(stack, "billing", "globex")
    listed(stack, "globex")
    assert routed(stack, "billing", "globex") == before


@pytest.mark.parametrize("source", ["legacy", "billing"])
def test_a_key_makes_one_invoice_and_belongs_to_it(stack, flag, until, source):
    flag("billing.source", source, "acme")
    moved_to(stack, until, source)
    first, again, other = (invoice(stack, "acme", cents, key=f"once-{source}") for cents in (500, 500, 600))
    assert (first.status, again.status, other.status) == (201, 201, 422)
    assert first.json == again.json


@pytest.mark.parametrize("drift", ["renamed", "types", "currency", "nulls"])
def test_what_the_monolith_corrupts_stays_out_and_comes_in_when_it_is_whole_again(stack, flag, until, drift):
    flag("legacy.drift", drift)
    until(
        lambda: (
            invoice(stack, "initech").status == 201
            and stack.call("GET", "/billing/invoices", tenant="initech", at="billing").json["source"] == "quarantined"
        ),
        "billing says that its answer may lack some",
    )
    assert {each["amount_cents"] for each in listed(stack, "initech", at="billing")} <= {1999}
    set_flag(stack, "legacy.drift", "none")
    until(
        lambda: listed(stack, "initech", at="billing") == listed(stack, "initech", at="legacy"),
        "billing has taken in what was kept out",
    )


def test_flags_are_remembered_while_their_source_is_away(stack, flag, until):
    flag("billing.source", "billing", "acme")
    moved_to(stack, until, "billing")
    stack.stop("flags", 9)
    try:
        until(lambda: stack.metric("gateway", "resilience_flags_connected") == 0, "the gateway misses its source")
        moved_to(stack, until, "billing")
    finally:
        stack.start("flags")
        stack.wait("flags")
    until(lambda: stack.metric("gateway", "resilience_flags_connected") == 1, "the gateway has its source back")
    moved_to(stack, until, "billing")


@pytest.mark.parametrize(("defect", "reason"), [("errors", "errors"), ("wrong", "content")])
def test_a_bad_version_is_taken_back_and_a_sound_one_is_not_touched(stack, flag, until, defect, reason):
    def rollbacks():
        return stack.metric("release", "resilience_release_rollbacks_total", name="catalog", reason=reason)

    def browse():
        for _ in range(20):
            stack.call("GET", "/catalog/products/sku-7", tenant="acme", headers={"X-Session-Id": uuid.uuid4().hex})

    def phase():
        return stack.call("GET", "/releases/catalog", at="release").json["phase"]

    until(lambda: phase() == "idle", "the controller has seen the end of the release before")
    before = rollbacks()
    flag("catalog.canary.defect", defect)
    flag("catalog.release", "start")

    def taken_back():
        browse()
        return rollbacks() > before

    until(taken_back, "the new version is taken back", timeout_s=60)
    assert stack.metric("release", "resilience_release_percent", name="catalog") == 0


@pytest.mark.parametrize("service", CALLERS)
def test_a_dependency_that_is_away_is_no_reason_to_restart_a_service(stack, until, service):
    nowhere = {
        link["env"]: link["value"].replace("https://", "http://").replace("{address}", "127.0.0.1:1")
        for name, link in TARGET["links"].items()
        if name.startswith(f"{service} -> ")
    }
    lonely = type(stack)(stack.postgres, stack.collector, stack.folder / "lonely")
    lonely.folder.mkdir(exist_ok=True)
    lonely.ports[service] = free_port()
    lonely.start(service, **nowhere)

    def lives():
        try:
            return http_call(lonely.ports[service], "GET", "/health/live").status
        except OSError:
            return None

    try:
        assert until(lives, f"{service} lives") == 200
    finally:
        lonely.stop_all()
