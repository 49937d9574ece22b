import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_stack.kit.events import Actor, Event, EventRejectedError, decode, encode, tenant_of

TENANTS = ("acme", "globex")
ROLE = "tenant_user"
EVENT = Event("orders.confirmed", "acme", "ord-1", 1, 7, Actor("app", frozenset({ROLE})), {"total_cents": 5})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    tenant=st.sampled_from(TENANTS),
    key=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}", fullmatch=True),
    sequence=st.integers(1, 2**31 - 1),
    occurred_ns=st.integers(0, 2**63 - 1),
    data=st.dictionaries(st.text(), JSON, max_size=3),
)
def test_what_is_encoded_is_decoded(tenant, key, sequence, occurred_ns, data):
    event = Event("orders.confirmed", tenant, key, sequence, occurred_ns, EVENT.actor, data)
    assert decode(event.subject, encode(event), TENANTS, ROLE) == event


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_nonsense_is_rejected_whatever_it_is(body):
    with pytest.raises(EventRejectedError):
        decode(EVENT.subject, body, TENANTS, ROLE)


@given(
    name=st.sampled_from(["type", "tenant", "key", "sequence", "occurred_ns", "actor", "data"]),
    value=JSON.filter(lambda value: value != {} and not isinstance(value, dict)),
)
def test_a_field_of_another_shape_never_gets_further_than_the_check(name, value):
    body = json.loads(encode(EVENT)) | {name: value}
    try:
        decoded = decode(EVENT.subject, json.dumps(body).encode(), TENANTS, ROLE)
    except EventRejectedError:
        return
    assert (decoded.subject, decoded.tenant) == (EVENT.subject, "acme")
    assert decoded.sequence >= 1


@pytest.mark.parametrize(
    "subject", ["orders.globex.confirmed", "orders.acme.failed", "orders.confirmed", "orders.acme.confirmed.more", ""]
)
def test_an_event_belongs_to_the_tenant_of_its_subject(subject):
    with pytest.raises(EventRejectedError, match="that of its subject"):
        decode(subject, encode(EVENT), TENANTS, ROLE)


def test_the_actor_needs_the_role():
    powerless = dataclasses.replace(EVENT, actor=Actor("app", frozenset({"visitor"})))
    with pytest.raises(EventRejectedError, match="lacks the role"):
        decode(powerless.subject, encode(powerless), TENANTS, ROLE)


def test_a_tenant_that_is_not_served_is_nobody():
    with pytest.raises(EventRejectedError, match="not served"):
        decode(EVENT.subject, encode(EVENT), ("globex",), ROLE)
    assert tenant_of("orders.acme.confirmed", TENANTS) == "acme"
    assert [tenant_of(subject, TENANTS) for subject in ("orders.mallory.confirmed", "orders.created", "")] == [""] * 3
