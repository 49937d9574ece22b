"""What one load records of a shop that misbehaves in every way at once: real Locust, real sockets, real files."""

import json
from collections import Counter

import pytest

from harness.load.arrivals import arrivals_of
from harness.model.run.clock import NS_PER_MS, NS_PER_S
from harness.model.run.events import Kind
from tests.load.misbehaving_shop import FLOWS, LEDGERS, STEPS, MisbehavingShop
from tests.load.running import Shop, plan_of, run_load

LOAD = {
    "acme": dict.fromkeys(STEPS, 3.0) | {"journey": 3.0},
    "globex": {"good": 10.0},
    "initech": {"good": 10.0, "buy": 10.0},
    "umbrella": {"buy": 4.0},
}
PLAN = plan_of(FLOWS, LOAD, ledgers=LEDGERS, surge={"tenant": "globex", "times": 8})


@pytest.fixture(scope="module")
def book():
    return MisbehavingShop()


@pytest.fixture(scope="module")
def shop(book):
    return Shop(book.answer, token_lifetime_s=1.2)


@pytest.fixture(scope="module")
def load(shop, tmp_path_factory):
    return run_load(PLAN, shop, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def requests(load):
    rows = load.requests
    return rows.astype(object).where(rows.notna(), None)


def test_every_arrival_is_a_row_at_the_time_when_it_was_due(load, requests):
    due = [(a.tenant, a.flow, load.start_ns + a.due_ns) for a in arrivals_of(PLAN)]
    first = requests[~requests.step.isin(["second", "third"])]
    assert load.code == 0
    assert sorted(zip(first.tenant, first.flow, first.intended_start, strict=True)) == sorted(due)
    assert (first.start >= first.intended_start).all()
    assert (requests.end >= requests.start).all()


def test_start_and_end_are_told(load):
    arrivals = len(list(arrivals_of(PLAN)))
    ended = dict(load.event(Kind.LOAD_ENDED).fields)
    assert load.event(Kind.LOAD_STARTED).fields == {"pid": load.registered[0]}
    assert ended.pop("late") < arrivals
    assert sum(due for *_, due in json.loads(ended.pop("by_pair"))) == arrivals
    assert ended == {"arrivals": arrivals, "sent": arrivals, "dropped": 0, "code": 0}


def test_progress_counts_what_ended_in_each_second(load, requests):
    lines = [message["progress"]["globex"] for message in load.progress]
    assert set(lines[0]) == {"sent", "ok", "refused", "failed", "unknown", "dropped", "p95_ms"}
    told = sum(line["ok"] for line in lines)
    assert 0 < told <= (requests.tenant == "globex").sum()
    assert all({"lag_p99_ms", "in_flight"} <= set(message) for message in load.progress)


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ("good", ("ok", 200, None, False, None)),
        ("rate-limited", ("refused", 429, "rate_limited", True, None)),
        ("unavailable", ("refused", 503, "status 503", False, None)),
        ("deadline", ("failed", 504, "deadline", False, None)),
        ("missing", ("failed", 404, "status 404", False, None)),
        ("moved", ("failed", 302, "status 302", False, None)),
        ("foreign", ("ok", 200, None, False, "somebody-else")),
        ("unmarked", ("failed", 200, "watermark missing", False, None)),
        ("hang", ("unknown", 0, "timeout", False, None)),
        ("trickle", ("unknown", 0, "timeout", False, None)),
    ],
)
def test_each_kind_of_answer(requests, flow, expected):
    rows = requests[requests.flow == flow]
    assert set(zip(rows.outcome, rows.status, rows.error, rows.retry_after, rows.foreign, strict=True)) == {expected}


@pytest.mark.parametrize("flow", ["abort", "half"])
def test_a_connection_that_breaks_is_no_answer(requests, flow):
    rows = requests[requests.flow == flow]
    assert set(zip(rows.outcome, rows.status, strict=True)) == {("unknown", 0)}
    assert set(rows.error) <= {"connection reset", "connection closed", "broken answer"}


def test_a_request_that_hangs_past_the_end_is_waited_for(load, requests):
    hung = requests[requests.flow == "hang"]
    assert ((hung.end - hung.start) >= 499 * NS_PER_MS).all()
    assert hung.end.max() > load.start_ns + 3 * NS_PER_S or hung.intended_start.max() < load.start_ns + 2.5 * NS_PER_S


def test_a_row_is_one_request_even_when_connections_break(shop, requests):
    assert Counter(request.path for request in shop.seen if request.path == "/abort") == {
        "/abort": (requests.flow == "abort").sum()
    }
    assert requests.trace_id.nunique() == len(requests)


def test_a_step_after_a_failed_one_is_not_sent(requests):
    rows = requests[requests.flow == "journey"]
    first = rows[rows.step == "first"].sort_values("end")
    second = rows[rows.step == "second"].sort_values("intended_start")
    assert set(zip(rows.step, rows.outcome, strict=True)) == {("first", "ok"), ("second", "failed")}
    assert list(second.intended_start) == list(first.end)


def test_requests_carry_trace_context_and_the_newest_token(shop, requests):
    arrived = {request.headers["traceparent"].split("-")[1] for request in shop.seen if request.path == "/good"}
    recorded = {trace.hex() for trace in requests[requests.flow == "good"].trace_id}
    assert recorded <= arrived
    assert {request.headers["traceparent"][-3:] for request in shop.seen if request.path == "/good"} == {"-01"}
    tokens = {request.headers["Authorization"] for request in shop.seen if request.path == "/abort"}
    assert len({request.headers["Authorization"] for request in shop.seen if request.path == "/good"}) > 4
    assert all(token.startswith("Bearer acme.") for token in tokens)


def test_a_surge_multiplies_one_tenant_within_its_window(load, requests):
    begin, end = load.start_ns + NS_PER_S, load.start_ns + 2 * NS_PER_S
    globex = requests[requests.tenant == "globex"]
    inside = ((globex.intended_start >= begin) & (globex.intended_start < end)).sum()
    assert inside > 3 * (len(globex) - inside) / 2
    delivered = load.event(Kind.SURGE_DELIVERED).fields
    assert delivered == {"fault": "fault-1", "tenant": "globex", "requests": inside}


def test_writes_have_a_history(load, book):
    history = load.ledger[load.ledger.type != "read"]
    lives = {key: tuple(rows.type) for key, rows in history.groupby("key")}
    assert set(lives.values()) == {("invoke", "ok"), ("invoke", "fail"), ("invoke", "unknown")}
    assert len(lives) == len(book.bodies)
    assert {body["quantity"] for body in book.bodies} == {2}
    assert history.trace_id.notna().all()


def test_the_ledger_is_read_back_page_by_page(load, book):
    read = load.ledger[load.ledger.type == "read"]
    assert sorted(zip(read.tenant, read.value, read.key, strict=True)) == sorted((t, t, k) for t, k in book.orders)
    held = Counter(tenant for tenant, _ in book.orders)
    told = [event.fields for event in load.events if event.kind is Kind.LEDGER_READ]
    assert held["initech"] > 5  # more than a page
    assert sorted(told, key=lambda fields: fields["tenant"]) == [
        {"ledger": "orders", "tenant": tenant, "keys": held[tenant], "complete": True, "cause": None}
        for tenant in ("initech", "umbrella")
    ]
