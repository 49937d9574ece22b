"""How a process wires a link that several tenants share, and what switching a protection off does to it."""

import io
import json

import pytest

from target_stack.kit.background import BackgroundTasks
from target_stack.kit.breaker import BreakerSettings
from target_stack.kit.bulkhead import BulkheadSettings
from target_stack.kit.clock import SystemClock
from target_stack.kit.logs import Log
from target_stack.kit.metrics import Metrics
from target_stack.kit.recorder import Recorder
from target_stack.kit.settings import read_settings
from target_stack.kit.telemetry import Tracing
from target_stack.kit.toolbox import LinkPlan, Toolbox

TENANTS = {"acme": {"plan": "gold", "tenancy": "silo"}, "globex": {"plan": "silver"}, "initech": {"plan": "silver"}}
PLAN = LinkPlan(attempt_timeout_s=1.0, max_attempts=3, breaker=BreakerSettings(), bulkhead=BulkheadSettings(limit=16))


def toolbox(off: str = "") -> Toolbox:
    environment = {
        "OTEL_SERVICE_NAME": "orders",
        "PORT": "1",
        "TENANTS": json.dumps(TENANTS),
        "PROOFS": "on",
        "PROTECTIONS_OFF": off,
        "DATABASE_URL": "postgresql://x@127.0.0.1/x",
        "DATABASE_URL_ACME": "postgresql://x@127.0.0.1/y",
    }
    clock, metrics, tracing = SystemClock(), Metrics(), Tracing("orders", None)
    log = Log("orders", clock, io.StringIO())
    return Toolbox(
        settings=read_settings(environment),
        clock=clock,
        log=log,
        tracing=tracing,
        metrics=metrics,
        recorder=Recorder(tracing, metrics),
        tasks=BackgroundTasks(log),
        session=None,  # type: ignore[arg-type] - nothing is called
    )


def settings_of(off: str = "", tenants=None):
    return toolbox(off).client("payments", "http://127.0.0.1:1", PLAN, tenants)._settings


def test_each_tenant_of_a_shared_link_has_a_breaker_a_budget_and_a_share_of_its_own():
    link = settings_of()
    assert {tenant: breaker.name for tenant, breaker in link.breaker_of.items()} == {
        tenant: f"orders -> payments [{tenant}]" for tenant in TENANTS
    }
    assert set(link.bulkhead_of) == set(TENANTS)
    assert len({id(link.retry.budget_for(tenant)) for tenant in (*TENANTS, "")}) == 4


def test_a_link_that_one_tenant_uses_alone_has_one_breaker():
    link = settings_of(tenants=["acme"])
    assert (link.breaker.name, dict(link.breaker_of)) == ("orders -> payments", {})


@pytest.mark.parametrize(
    ("off", "broken"),
    [
        ("breaker_share", lambda link: not link.breaker_of and link.breaker is not None),
        ("breaker", lambda link: not link.breaker_of and link.breaker is None),
        ("retry_share", lambda link: link.retry.budget_for("acme") is link.retry.budget_for("globex") is not None),
        ("retry_budget", lambda link: link.retry.budget_for("acme") is None),
        ("retry_bound", lambda link: link.retry.max_attempts == 1000),
        ("retry", lambda link: link.retry.max_attempts == 1),
        ("retry_key", lambda link: not link.keeps_keys),
        ("timeout_order", lambda link: link.attempt_timeout_s == 4.0),
    ],
)
def test_a_switch_does_what_its_name_says_and_nothing_is_switched_by_itself(off, broken):
    assert broken(settings_of(off))
    assert not broken(settings_of())


@pytest.mark.parametrize(("off", "silos"), [("", ["acme"]), ("tenancy", ["acme"])])
def test_without_tenancy_all_tenants_are_in_the_pool(off, silos):
    database = toolbox(off).tenant_database(())
    assert list(database._silos) == silos
    assert {tenancy.value for tenancy in database._configured.values()} == ({"pool"} if off else {"pool", "silo"})


@pytest.mark.parametrize(
    ("off", "flaw"),
    [("pool_share", "one_pool"), ("connection_return", "keeps_connections"), ("error_classes", "blames_itself")],
)
def test_a_database_is_flawed_only_where_it_is_asked_for(off, flaw):
    assert getattr(toolbox(off).database()._flaws, flaw)
    assert not getattr(toolbox().database()._flaws, flaw)
