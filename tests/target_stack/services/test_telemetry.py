"""What the harness and operators read: traces, metrics and logs keep their contract."""

import secrets
import uuid

import pytest

PARENT = "00f067aa0ba902b7"
ALL = "gateway orders catalog inventory payments provider-b"


def traced(flags: str = "01") -> tuple[str, dict[str, str]]:
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-{PARENT}-{flags}"}


def test_a_checkout_is_one_complete_trace(stack, collector):
    trace_id, headers = traced()
    assert stack.order("globex", headers=headers).status == 201
    spans = collector.trace(trace_id, ALL)
    by_id = {span.span_id: span for span in spans}
    roots = [span for span in spans if span.parent_id not in by_id]
    assert [(span.service, span.kind, span.parent_id) for span in roots] == [("gateway", "SERVER", PARENT)]
    edges = {(span.service, span.attributes["peer.service"]) for span in spans if span.kind == "CLIENT"}
    assert edges == {
        ("gateway", "orders"),
        ("orders", "catalog"),
        ("orders", "inventory"),
        ("orders", "payments"),
        ("orders", "recommendations"),
        ("payments", "provider-b"),
        ("orders", "orders-db"),
        ("catalog", "catalog-db"),
        ("inventory", "inventory-db"),
        ("payments", "payments-db"),
    }
    for span in spans:
        if span.kind == "SERVER" and span.parent_id in by_id:
            assert by_id[span.parent_id].kind == "CLIENT"
            assert by_id[span.parent_id].attributes["peer.service"] == span.service
    assert not any(span.failed for span in spans)


def test_spans_carry_the_attributes_that_the_harness_reads(stack, collector):
    trace_id, headers = traced("03")
    stack.order("globex", headers=headers)
    spans = collector.trace(trace_id, ALL)
    (server,) = [span for span in spans if (span.service, span.kind) == ("orders", "SERVER")]
    remaining_ms = server.attributes.pop("resilience.deadline.remaining_ms")
    assert 0 < remaining_ms <= 1500
    assert server.attributes == {
        "http.request.method": "POST",
        "http.route": "/orders",
        "http.response.status_code": 201,
        "tenant.id": "globex",
    }
    (call,) = [span for span in spans if span.attributes.get("peer.service") == "payments"]
    assert call.attributes == {
        "peer.service": "payments",
        "http.request.method": "POST",
        "http.route": "/payments",
        "http.response.status_code": 201,
        "resilience.retry.attempt": 0,
        "tenant.id": "globex",
    }
    statements = [span.attributes for span in spans if span.attributes.get("peer.service") == "orders-db"]
    assert statements == [
        {
            "peer.service": "orders-db",
            "db.system.name": "postgresql",
            "db.operation.name": operation,
            "resilience.retry.attempt": 0,
            "tenant.id": "globex",
        }
        for operation in ("claim order", "confirm order")
    ]


def test_a_caller_that_does_not_want_a_trace_gets_none(stack, collector):
    unwanted, headers = traced("00")
    stack.order("globex", headers=headers)
    wanted, headers = traced()
    stack.order("globex", headers=headers)
    collector.trace(wanted, ALL)
    assert [span for span in collector.spans() if span.trace_id == unwanted] == []


def test_without_a_traceparent_a_trace_begins_and_the_error_names_it(stack, collector):
    reply = stack.call("POST", "/orders", tenant="acme", body={"items": []}, headers={"Idempotency-Key": "k"})
    spans = collector.trace(reply.json["trace_id"], "gateway orders")
    assert {span.service for span in spans} == {"gateway", "orders"}


def test_health_and_metrics_leave_no_spans(stack, collector):
    trace_id, headers = traced()
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert stack.call("GET", path, headers=headers).status == 200
    later, headers = traced()
    stack.order("globex", headers=headers)
    collector.trace(later, ALL)
    assert [span for span in collector.spans() if span.trace_id == trace_id] == []


def test_a_failed_attempt_is_a_failed_client_span_and_its_retry_another(stack, collector, until):
    trace_id, headers = traced()
    stack.stop("inventory")
    try:
        assert stack.order("globex", headers=headers).status == 503
    finally:
        stack.start("inventory")
        stack.wait("inventory")
    spans = collector.trace(trace_id, "gateway orders catalog")
    attempts = [span for span in spans if span.attributes.get("peer.service") == "inventory"]
    attempts = [span for span in attempts if span.attributes["http.route"] == "/reservations"]
    assert [span.attributes["resilience.retry.attempt"] for span in attempts] == [0, 1, 2]
    assert {(span.failed, span.attributes["error.type"]) for span in attempts} == {(True, "ClientConnectorError")}
    (server,) = [span for span in spans if (span.service, span.kind) == ("orders", "SERVER")]
    scheduled = [event for event in server.events if event[0] == "resilience.retry.scheduled"]
    assert [(event["link"], event["resilience.retry.attempt"]) for _, event in scheduled] == [
        ("orders -> inventory", 1),
        ("orders -> inventory", 2),
    ]
    until(lambda: stack.order("globex").status == 201, "orders works again")


def test_breaker_changes_and_refusals_are_span_events_and_a_refused_call_has_no_span(stack, collector, until):
    stack.restart("payments")
    with stack.paused("provider-a"):
        until(
            lambda: (
                stack.metric("payments", "resilience_breaker_state", name="payments -> provider-a") == 2
                or stack.order("acme") is None
            ),
            "the breaker opens",
        )
        trace_id, headers = traced()
        stack.order("acme", headers=headers)
    spans = collector.trace(trace_id, "gateway orders payments")
    assert not [span for span in spans if span.attributes.get("peer.service") == "provider-a"]
    events = [event for span in spans if span.service == "payments" for event in span.events]
    assert ("resilience.breaker.refused", {"resilience.breaker.name": "payments -> provider-a"}) in events
    until(lambda: stack.order("acme").status == 201, "acme can pay again")

    def changes():
        return [
            (event["resilience.breaker.from"], event["resilience.breaker.to"])
            for span in collector.spans()
            for name, event in span.events
            if name == "resilience.breaker.state_changed"
            and event["resilience.breaker.name"] == "payments -> provider-a"
        ]

    until(lambda: changes()[-1:] == [("half_open", "closed")], "the closing is seen")
    assert ("closed", "open") in changes()
    assert ("open", "half_open") in changes()


def test_a_rate_limit_refusal_is_a_span_event(stack, collector):
    stack.restart("gateway", RATE_LIMITS="gold=0.001:1,silver=0.001:1")
    try:
        stack.call("GET", "/catalog/products/sku-1", tenant="initech")
        trace_id, headers = traced()
        assert stack.call("GET", "/catalog/products/sku-1", tenant="initech", headers=headers).status == 429
    finally:
        stack.restart("gateway", RATE_LIMITS="gold=500:500,silver=500:500")
    (span,) = collector.trace(trace_id, "gateway")
    assert span.events == [("resilience.rate_limit.refused", {"tenant.id": "initech"})]
    assert not span.failed


@pytest.mark.parametrize(
    ("service", "name", "labels"),
    [
        ("gateway", "http_server_requests_total", {"route": "/orders", "method": "POST", "status": "201"}),
        ("catalog", "http_server_requests_total", {"route": "/catalog/products", "method": "GET", "status": "200"}),
        ("orders", "http_server_request_duration_seconds_count", {"route": "/orders"}),
        ("gateway", "resilience_rate_limit_refused_total", {}),
    ],
)
def test_series_of_every_tenant_exist_from_the_start(stack, service, name, labels):
    stack.restart(service, RATE_LIMITS="gold=500:500,silver=500:500")
    assert [stack.metric(service, name, tenant=tenant, **labels) for tenant in ("acme", "globex", "initech")] == [0] * 3


def test_series_of_every_link_exist_from_the_start(stack):
    stack.restart("orders")
    for callee in ("catalog", "inventory", "payments"):
        link = f"orders -> {callee}"
        for name, labels in (
            ("resilience_breaker_state", {"name": link}),
            ("resilience_breaker_refused_total", {"name": link}),
            ("resilience_breaker_transitions_total", {"name": link, "from_state": "closed", "to_state": "open"}),
            ("resilience_bulkhead_in_use", {"name": link}),
            ("resilience_bulkhead_rejected_total", {"name": link, "outcome": "full"}),
            ("resilience_retry_attempts_total", {"link": link, "attempt": "2"}),
            ("resilience_retry_refused_total", {"link": link, "reason": "budget"}),
        ):
            assert stack.metric("orders", name, **labels) == 0, name
        assert stack.metric("orders", "resilience_bulkhead_limit", name=link) == 16
    assert stack.metric("orders", "resilience_deadline_exceeded_total", route="/orders") == 0


def test_exemplars_lead_from_a_latency_to_its_trace(stack):
    trace_id, headers = traced()
    stack.call("GET", "/catalog/products/sku-1", tenant="acme", headers=headers)
    exposed = stack.call("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert exposed.headers["content-type"].startswith("application/openmetrics-text")
    assert f'trace_id="{trace_id}"' in exposed.body.decode()


def test_warnings_bear_trace_and_tenant(stack):
    stack.restart("payments")
    stack.stop("provider-b")
    try:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        body = {"amount_cents": 700, "currency": "EUR"}
        reply = stack.call("POST", "/payments", at="payments", tenant="globex", headers=key, body=body)
    finally:
        stack.start("provider-b")
        stack.wait("provider-b")
    line = next(line for line in reversed(stack.logged("payments")) if line["severity"] == "WARNING")
    assert {name: line[name] for name in ("trace_id", "tenant", "service", "error", "status")} == {
        "trace_id": reply.json["trace_id"],
        "tenant": "globex",
        "service": "payments",
        "error": "provider_failed",
        "status": 502,
    }
