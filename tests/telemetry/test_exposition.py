"""The small parser agrees with prometheus_client's own, and never chokes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from harness.telemetry.exposition import Exposition, Sample

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


def exposition(label, value):
    """One of each kind of metric, and one that nobody asked for."""
    registry = CollectorRegistry()
    Counter("http_server_requests", "x", ["route", "tenant"], registry=registry).labels(label, "acme").inc(abs(value))
    Gauge("resilience_breaker_state", "x", ["name"], registry=registry).labels(label).set(value)
    histogram = Histogram("http_client_request_duration_seconds", "x", ["link"], registry=registry)
    histogram.labels(label).observe(0.2, {"trace_id": "0af7651916cd43dd8448eb211c80319c"})
    Gauge("something_else", "x", registry=registry).set(1)
    return registry


def by_the_library(text):
    return {
        Sample(s.name, json.dumps(s.labels, sort_keys=True, ensure_ascii=False), s.value)
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if s.name.startswith(("http_", "resilience_")) and not s.name.endswith(("_bucket", "_created"))
    }


@given(words, st.floats(allow_nan=False))
def test_it_reads_what_the_library_reads(label, value):
    registry = exposition(label, value)
    text = generate_latest(registry).decode()
    assert set(Exposition().samples(text)) == by_the_library(text)
    assert set(Exposition().samples(generate_openmetrics(registry).decode())) == by_the_library(text)


def test_what_is_kept_and_what_is_not():
    text = "\n".join(
        (
            "# TYPE http_requests counter",
            'http_requests_total{b="2",a="1"} 3.0 1700000000000',
            "http_requests_created 1.7e9",
            'http_seconds_bucket{le="+Inf"} 3.0 # {trace_id="x"} 0.2',
            "http_seconds_sum 0.5",
            'resilience_state{name="payments -> provider-a", x="a\\"}\\\\\\nb"} +Inf',
            "process_open_fds 12",
            "process_cpu_seconds_total 4",
            "go_goroutines 5",
            "http_broken{ 1",
            "http_no_value",
            "http_words many",
        )
    )
    assert list(Exposition().samples(text)) == [
        Sample("http_requests_total", '{"a": "1", "b": "2"}', 3.0),
        Sample("http_seconds_sum", "{}", 0.5),
        Sample("resilience_state", json.dumps({"name": "payments -> provider-a", "x": 'a"}\\\nb'}), float("inf")),
        Sample("process_open_fds", "{}", 12.0),
    ]


@pytest.mark.parametrize("prefix", ["", "http_"])
@given(text=st.text())
def test_any_text_can_be_read(prefix, text):
    list(Exposition().samples(prefix + text))
