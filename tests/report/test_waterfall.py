"""Traces as waterfalls, whatever spans arrive."""

import json

from harness.report.requests import Pair
from harness.report.waterfall import Note, SpanBar, _waterfall
from harness.report.worst import Request

MS = 1_000_000


def span(own, parent, service, start_ms, end_ms, *, link=None, status="ok", events=None):
    times = {"start": start_ms * MS, "end": end_ms * MS}
    return {
        "span_id": own,
        "parent_id": parent,
        "service": service,
        "name": "GET /",
        "link": link,
        "status": status,
        "events": events,
        **times,
    }


REQUEST = Request(Pair("acme", "checkout"), "order", 0, 100 * MS, 504, "failed", "deadline", b"\x01" * 16)


def test_spans_follow_their_callers_and_the_client_is_nobodys_child():
    refused = json.dumps(
        [{"name": "resilience.breaker.refused", "time": 42 * MS, "attributes": {"resilience.breaker.name": "b -> c"}}]
    )
    spans = [
        span(b"3", b"2", "b", 20, 60, events=refused),
        span(b"1", b"client", "a", 0, 100, status="error"),
        span(b"2", b"1", "a", 10, 70, link="a -> b", status="error"),
    ]
    fall = _waterfall(REQUEST, spans)
    assert fall.bars == (
        SpanBar("a", "GET /", 0, 0.0, 1.0, 100.0, True),
        SpanBar("a", "a -> b", 1, 0.1, 0.6, 60.0, True),
        SpanBar("b", "GET /", 2, 0.2, 0.4, 40.0, False),
    )
    assert fall.notes == (Note(42.0, "b: breaker refused b -> c"),)
    assert (fall.ended, fall.request_width, fall.hidden) == ("504 failed: deadline", 1.0, 0)


def test_work_that_goes_on_after_the_client_left_is_drawn():
    fall = _waterfall(REQUEST, [span(b"1", None, "a", 0, 400)])
    assert (fall.total_ms, fall.request_width, fall.bars[0].width) == (400.0, 0.25, 1.0)


def test_spans_that_are_their_own_ancestors_end():
    loop = [span(b"1", b"2", "a", 0, 10), span(b"2", b"1", "b", 0, 10)]
    assert len(_waterfall(REQUEST, loop).bars) <= 2
    assert len(_waterfall(REQUEST, [*loop, span(b"3", None, "c", 0, 5)]).bars) >= 1


def test_too_many_spans_are_counted():
    fall = _waterfall(REQUEST, [span(bytes([n]), None, "a", n, n + 1) for n in range(40)])
    assert (len(fall.bars), fall.hidden) == (24, 16)


def test_events_in_another_shape_cost_only_themselves():
    for odd in ("not json", "[1]", '{"name": 1}', '[{"name": "x"}]', "null"):
        assert _waterfall(REQUEST, [span(b"1", None, "a", 0, 10, events=odd)]).notes == ()


def test_no_spans_are_no_bars():
    fall = _waterfall(REQUEST, [])
    assert (fall.bars, fall.said) == ((), "no spans were recorded")
