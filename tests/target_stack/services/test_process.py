"""How a service process starts, waits and ends."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_sigterm_lets_the_request_under_way_finish_and_exits_0(stack, until):
    stack.token("acme")
    inside = {"name": "gateway:tenant:acme"}
    with ThreadPoolExecutor(1) as pool:
        order = pool.submit(stack.order, "acme")
        until(
            lambda: stack.metric("gateway", "resilience_bulkhead_in_use", **inside) or order.done(),
            "the order is under way",
        )
        assert stack.stop("gateway") == 0
        assert order.result().status == 201
    stack.start("gateway", RATE_LIMITS="gold=500:500,silver=500:500")
    stack.wait("gateway")


def test_a_collector_that_is_gone_is_noticed_by_nobody(stack):
    stack.stop("catalog")
    stack.start("catalog", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    stack.wait("catalog")
    lines_before = len(stack.logged("catalog"))
    for _ in range(20):
        assert stack.call("GET", "/catalog/products/sku-1", tenant="acme").status == 200
    assert stack.stop("catalog") == 0
    assert stack.logged("catalog")[lines_before:] == []
    stack.start("catalog")
    stack.wait("catalog")


def test_a_service_lives_but_is_not_ready_until_its_database_is_there(stack, until):
    stack.stop("catalog")
    stack.start("catalog", DATABASE_URL="postgresql://catalog@127.0.0.1:1/catalog")
    live = until(lambda: _status(stack, "/health/live"), "the process lives")
    assert (live, _status(stack, "/health/ready")) == (200, 503)
    assert stack.call("GET", "/catalog/products/sku-1", tenant="acme").json["error"] == "starting"
    assert stack.stop("catalog") == 0
    stack.start("catalog")
    stack.wait("catalog")


def _status(stack, path):
    try:
        return stack.call("GET", path, at="catalog").status
    except OSError:
        return None


@pytest.mark.parametrize("missing", ["PORT", "TENANTS", "OTEL_SERVICE_NAME", "DATABASE_URL", "IDENTITY_URL"])
def test_a_missing_variable_is_named(missing):
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": "1",
        "TENANTS": "{}",
        "OTEL_SERVICE_NAME": "catalog",
        "DATABASE_URL": "postgresql://x",
        "IDENTITY_URL": "http://x",
    }
    del environment[missing]
    command = [sys.executable, "-m", "target_stack.services.catalog"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith(f"the environment variable {missing} is missing")


def test_a_second_signal_is_no_crash(stack):
    process = stack.processes["provider-a"]
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    stack.start("provider-a")
    stack.wait("provider-a")
