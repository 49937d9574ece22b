"""What can be wrong with a target file, and the message that says where and what was meant."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.model.errors import UsageError
from harness.model.files.target import Target, ends_of, load_target

SAMPLE_TARGET = Path(__file__).parents[2] / "target_stack" / "target.yaml"
GOOD = """\
name: two-boxes
entry: shop
services:
  shop: {command: [shop]}
  store: {kind: postgres, database: shop}
links:
  shop -> store: {env: DATABASE_URL, value: "postgresql://{address}/shop"}
tenants:
  acme: {plan: gold, region: north}
flows:
  buy:
    timeout: 3s
    steps:
      - {name: order, method: POST, path: /orders, expect: 201, ledger: {name: orders, key: "{key}"}}
ledgers:
  orders: {path: /orders, keys: "orders[].key"}
objectives:
  buy: {errors: "< 1%", p95: "< 600ms"}
protections:
  breaker: {kind: breaker, service: shop, guards: [shop -> store], off: {env: {OFF: breaker}}}
"""


@pytest.fixture
def error(tmp_path):
    def say(old: str, new: str) -> str:
        assert old in GOOD
        path = tmp_path / "target.yaml"
        path.write_text(GOOD.replace(old, new, 1))
        with pytest.raises(UsageError) as raised:
            load_target(path)
        return str(raised.value).replace(f"{tmp_path}/", "")

    return say


def test_the_good_one_is_read_whole(tmp_path):
    path = tmp_path / "target.yaml"
    path.write_text(GOOD)
    target = load_target(path)
    assert target.flows["buy"].timeout == 3.0
    assert list(target.objectives["buy"].measures()) == ["errors", "p95"]
    assert target.tenants["acme"].model_dump()["region"] == "north"
    assert ends_of("shop -> store") == ("shop", "store")


def test_the_sample_target_survives_being_stored():
    target = load_target(SAMPLE_TARGET)
    assert Target.model_validate_json(target.model_dump_json()) == target


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("entry: shop", "entry: shp", "target.yaml:2:8: unknown name 'shp'; did you mean 'shop'?"),
        ("shop -> store: {env", "shop -> stor: {env", "target.yaml:7:3: unknown name 'stor'; did you mean 'store'?"),
        ("  buy: {errors", "  bye: {errors", "target.yaml:18:3: unknown name 'bye'; did you mean 'buy'?"),
        ("{name: orders, key", "{name: order, key", "unknown name 'order'; did you mean 'orders'?"),
        ("service: shop", "service: shup", "unknown name 'shup'; did you mean 'shop'?"),
        ("[shop -> store]", "[shop -> shop]", "unknown name 'shop -> shop'"),
        ("shop -> store: {env", "shop->store: {env", "a link is written 'caller -> callee', got 'shop->store'"),
        ("{command: [shop]}", "{}", "a service needs a command (or kind: postgres)"),
        (", database: shop", "", "a service of kind postgres needs the name of its database"),
        ("timeout: 3s", "timeout: 3", "target.yaml:12:14: flows.buy.timeout: expected a duration with its unit"),
        ("    steps:", "    step:", "unknown key 'step'; did you mean 'steps'?"),
        ('p95: "< 600ms"', 'p96: "< 600ms"', "target.yaml:18:25: unknown key 'p96'; did you mean 'p9"),
        (
            "entry: shop",
            "deployment: lokal\nentry: shop",
            "target.yaml:2:13: deployment: unknown deployment 'lokal'; did",
        ),
        ("entry: shop", "deployment: [local]\nentry: shop", "target.yaml:2:13: deployment: unknown deployment"),
        ("kind: postgres", "kind: mysql", "target.yaml:5:17: services.store.kind"),
        ("  acme: {plan: gold, region: north}", "  {}", "tenants"),
    ],
)
def test_what_does_not_fit_together_is_told_with_its_place(error, old, new, message):
    assert message in error(old, new)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, len(GOOD)), put=st.text("{}[]:,-&*!|>'\"%@` \n\t#a1", max_size=6))
def test_anything_put_in_gives_a_target_or_a_usage_error(tmp_path, cut, put):
    path = tmp_path / "target.yaml"
    path.write_text(GOOD[:cut] + put + GOOD[cut:])
    try:
        load_target(path)
    except UsageError as error:
        if not str(error).startswith(str(path)):
            raise
