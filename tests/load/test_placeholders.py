"""Placeholders are filled in as documented; what cannot be is found before the load starts."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.placeholders import Values, attributes_of, check_placeholders, fill, fill_body
from harness.model.errors import UsageError
from harness.model.files.target import Target, Tenant, load_target

VALUES = Values(
    tenant="acme",
    attributes={"plan": "gold", "secret": "a/b c"},
    run_started_ns=17,
    random=Random(1),
    key="k-1",
    token="t0ken",
    cursor="x&y",
)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("/plain", "/plain"),
        ("{tenant}:{tenant.plan}", "acme:gold"),
        ("Bearer {token}", "Bearer t0ken"),
        ("{key}/{key}", "k-1/k-1"),
        ("?since={run_started}&after={cursor}", "?since=17&after=x&y"),
        ("{number:5-5}", "5"),
        ("{choice:only}", "only"),
        ('{"json": "{tenant}", "empty": {}}', '{"json": "acme", "empty": {}}'),
        ("{1} {} {{", "{1} {} {{"),
    ],
)
def test_filled_in(text, filled):
    assert fill(text, VALUES) == filled


def test_values_are_encoded_in_urls_and_the_rest_of_the_path_is_not():
    assert fill("/p?s={tenant.secret}&c={cursor}", VALUES, in_url=True) == "/p?s=a%2Fb%20c&c=x%26y"


@given(st.integers(-50, 50), st.integers(0, 100), st.integers())
def test_numbers_lie_in_their_range(low, width, seed):
    values = Values("acme", {}, 0, Random(seed))
    assert low <= int(fill(f"{{number:{low}-{low + width}}}", values)) <= low + width


def test_all_choices_come_up():
    values = Values("acme", {}, 0, Random(1))
    assert {fill("{choice:a,b,c}", values) for _ in range(100)} == {"a", "b", "c"}


def test_a_body_keeps_its_shape_and_numbers_stay_numbers():
    body = {"{tenant}": [{"sku": "sku-{number:7-7}", "quantity": "{number:2-2}"}], "at": "{run_started}", "n": 1.5}
    filled = {"acme": [{"sku": "sku-7", "quantity": 2}], "at": 17, "n": 1.5}
    assert fill_body(body, VALUES) == filled


def test_everything_that_the_target_says_of_a_tenant_is_an_attribute():
    assert attributes_of(Tenant.model_validate({"plan": "gold", "size": 3})) == {"plan": "gold", "size": "3"}


def target(**changes):
    step = {"name": "list", "path": "/p", **changes.pop("step", {})}
    return Target.model_validate(
        {
            "name": "shop",
            "entry": "shop",
            "services": {"shop": {"command": ["true"]}},
            "tenants": {"acme": {"secret": "x"}, "globex": {}},
            "flows": {"browse": {"steps": [step]}},
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"step": {"path": "/p/{nubmer:1-2}"}},
            "flow 'browse', step 'list', path: unknown placeholder {nubmer:1-2}; did you mean 'number'?",
        ),
        (
            {"step": {"headers": {"X": "{tenant.secret}"}}},
            "flow 'browse', step 'list', header 'X': {tenant.secret}: tenant globex has no 'secret'",
        ),
        (
            {"step": {"body": {"a": ["{number:9-1}"]}}},
            "flow 'browse', step 'list', body: {number:9-1} is not understood; it is written {number:1-200}",
        ),
        (
            {"step": {"path": "/{choice}"}},
            "flow 'browse', step 'list', path: {choice} is not understood; it is written {choice:a,b}",
        ),
        (
            {"step": {"path": "/{key:1}"}},
            "flow 'browse', step 'list', path: {key:1} is not understood; it is written {key}",
        ),
        (
            {"ledgers": {"orders": {"path": "/o?{key}", "keys": "k"}}},
            "ledger 'orders', path: unknown placeholder {key}",
        ),
        ({"token": {"request": {"path": "/t", "body": "{token}"}}}, "token, body: unknown placeholder {token}"),
    ],
)
def test_wrong_placeholders_are_named_with_their_place(wrong, message):
    with pytest.raises(UsageError) as raised:
        check_placeholders(target(**wrong))
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_the_sample_target_is_right():
    check_placeholders(load_target(Path(__file__).parents[2] / "target_stack" / "target.yaml"))
