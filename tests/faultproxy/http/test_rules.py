"""Each action and each part of a scope over real sockets: what it hits and what it spares."""

import base64
import gzip
import http.client
import json
import threading

import pytest

from tests.faultproxy.http.conftest import DOCUMENT, eventually

pytestmark = pytest.mark.embedded
TRACE = "0af7651916cd43dd8448eb211c80319c"
DAY_S = 86_400


# -- actions -----------------------------------------------------------------------------------------------------------


def test_delay_holds_what_it_hits_and_spares_the_rest(http_link, callee):
    path = http_link.rule("delay", latency_s=DAY_S, scope={"route": "/slow"})
    caller, other = http_link.caller(), http_link.caller()
    caller.send_request("/slow")
    eventually(lambda: http_link.touched() == 1)
    assert other.ask("/fast") == b"/fast"
    assert callee.paths() == ["/fast"]
    http_link.api.delete(path)
    assert caller.hear() == b"/slow"
    assert http_link.touched() == 1


@pytest.mark.parametrize("distribution", ["fixed", "uniform", "normal", "pareto"])
def test_a_delayed_request_arrives_whole(http_link, callee, distribution):
    jitter = {} if distribution == "fixed" else {"jitter_s": 0.002}
    http_link.rule("delay", latency_s=0.005, distribution=distribution, **jitter)
    caller = http_link.caller()
    for number in range(3):
        assert caller.ask(f"/{number}", "POST", b"body") == f"/{number}".encode()
    assert callee.asked == [("POST", f"/{number}", b"body") for number in range(3)]
    assert http_link.touched() == 3


def test_answer_is_given_in_the_callees_place(http_link, callee):
    headers = {"Retry-After": "7", "Content-Type": "application/json"}
    http_link.rule("answer", status=429, headers=headers, body='{"why": "täglich"}', scope={"route": "/no"})
    caller = http_link.caller()
    for method in ("POST", "PUT"):
        assert caller.ask("/no", method, b"x" * 100_000) == '{"why": "täglich"}'.encode()
        assert (caller.status, dict(caller.headers) | headers) == (429, dict(caller.headers))
        assert caller.ask("/yes") == b"/yes"
    assert callee.paths() == ["/yes", "/yes"]


def test_an_unknown_status_can_be_answered_too(http_link):
    http_link.rule("answer", status=599)
    caller = http_link.caller()
    assert (caller.ask("/"), caller.status) == (b"", 599)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_leaves_the_connection_usable(http_link, status):
    http_link.rule("answer", status=status, body="unseen", scope={"next": 1})
    caller = http_link.caller()
    assert (caller.ask("/a"), caller.status) == (b"", status)
    assert caller.ask("/b") == b"/b"


def test_hang_holds_what_it_hits_and_spares_the_rest(http_link, callee):
    path = http_link.rule("hang", scope={"route": "/hang"})
    caller, other = http_link.caller(), http_link.caller()
    caller.send_request("/hang", "POST", b"body")
    eventually(lambda: http_link.touched() == 1)
    assert other.ask("/free") == b"/free"
    http_link.api.delete(path)
    assert caller.hear() == b"/hang"
    assert callee.asked == [("GET", "/free", b""), ("POST", "/hang", b"body")]


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_hang_whose_caller_leaves_reaches_nobody(http_link, callee, leave):
    path = http_link.rule("hang")
    wire = http_link.dial()
    wire.send(b"POST /hang HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody")
    eventually(lambda: http_link.touched() == 1)
    getattr(wire, leave)()
    eventually(lambda: http_link.open_connections() == 0)
    http_link.api.delete(path)
    assert http_link.caller().ask("/after") == b"/after"
    assert callee.paths() == ["/after"]


def test_reset_request_is_reset_and_the_callee_saw_nothing(http_link, callee):
    http_link.rule("reset_request", scope={"route": "/no"})
    caller = http_link.caller()
    assert caller.ask("/yes") == b"/yes"
    assert caller.ask("/no", "POST", b"body") == "RST"
    assert http_link.caller().ask("/yes") == b"/yes"
    assert (callee.paths(), http_link.touched()) == (["/yes", "/yes"], 1)


@pytest.mark.parametrize("path", ["/a", "/chunked", "/big"])
def test_lose_reply_lets_the_callee_run_and_resets(http_link, callee, path):
    http_link.rule("lose_reply", scope={"method": "POST"})
    caller = http_link.caller()
    assert caller.ask("/yes") == b"/yes"
    assert caller.ask(path, "POST", b"body") == "RST"
    assert callee.asked == [("GET", "/yes", b""), ("POST", path, b"body")]
    assert http_link.touched() == 1


@pytest.mark.parametrize("path", ["/json", "/chunked", "/gzip", "/big"])
def test_truncate_passes_so_many_bytes_and_closes(http_link, path):
    whole = http_link.caller().ask(path)
    http_link.rule("truncate", bytes=10, scope={"route": path})
    caller = http_link.caller()
    assert caller.ask("/longer/than/that") == b"/longer/than/that"
    caller.send_request(path)
    reply = caller.getresponse()
    assert reply.read(10) == whole[:10]
    with pytest.raises(http.client.IncompleteRead):
        reply.read()
    assert http_link.touched() == 1


def test_truncate_spares_a_body_that_fits(http_link):
    http_link.rule("truncate", bytes=10)
    caller = http_link.caller()
    assert caller.ask("/ten-bytes") == b"/ten-bytes"
    assert caller.ask("/", "HEAD") == b""
    assert http_link.touched() == 0


@pytest.mark.parametrize("path", ["/json", "/chunked", "/gzip", "/gzip-chunked"])
def test_corrupt_changes_so_many_bytes_and_no_framing(http_link, path):
    caller = http_link.caller()
    whole = caller.ask(path)
    http_link.rule("corrupt", bytes=3, scope={"route": path})
    changed = caller.ask(path)
    assert sum(a != b for a, b in zip(whole, changed, strict=True)) == 3
    assert caller.ask("/other") == b"/other"
    assert http_link.touched() == 1


def test_corrupt_changes_all_of_a_short_body_and_little_of_a_large_one(http_link):
    caller = http_link.caller()
    whole = caller.ask("/big")
    http_link.rule("corrupt", bytes=50)
    assert all(a != b for a, b in zip(caller.ask("/abc"), b"/abc", strict=True))
    places = [place for place, (a, b) in enumerate(zip(caller.ask("/big"), whole, strict=True)) if a != b]
    assert (len(places), max(places) < 1_200_000) == (50, True)


def test_slow_body_drips_and_goes_at_once_when_removed(http_link):
    path = http_link.rule("slow_body", rate=1, scope={"route": "/slow*"})
    caller = http_link.caller()
    assert caller.ask("/fast") == b"/fast"
    wire = http_link.dial()
    wire.send(b"GET /slow-body HTTP/1.1\r\n\r\n")
    while not wire.read(1).endswith(b"/"):  # "Server: BaseHTTP/0.6" comes with the head
        pass
    eventually(lambda: http_link.touched() == 1)
    http_link.api.delete(path)
    assert b"\r\n\r\n/slow-body" in read_until(wire, b"/slow-body")


def read_until(wire, tail):
    data = b""
    while not data.endswith(tail) and (more := wire.read(1)):
        data += more
    return data


@pytest.mark.parametrize("path", ["/json", "/chunked", "/gzip", "/big"])
def test_slow_body_is_whole_in_the_end(http_link, path):
    caller = http_link.caller()
    whole = caller.ask(path)
    http_link.rule("slow_body", rate=50_000_000 if path == "/big" else 2000)
    assert caller.ask(path) == whole
    assert caller.ask("/next") == b"/next"
    assert http_link.touched() == 2


@pytest.mark.parametrize("path", ["/json", "/chunked", "/gzip", "/gzip-chunked"])
def test_null_field_sets_a_field_to_null(http_link, path):
    http_link.rule("null_field", path="items.*.price", scope={"route": path})
    caller = http_link.caller()
    body = caller.ask(path)
    nulled = DOCUMENT | {"items": [{"price": None}, {"price": None}]}
    assert json.loads(gzip.decompress(body) if "gzip" in path else body) == nulled
    assert (caller.headers["Content-Length"], caller.headers["Transfer-Encoding"]) == (str(len(body)), None)
    assert caller.ask("/next") == b"/next"
    assert http_link.touched() == 1


@pytest.mark.parametrize("path", ["/br", "/broken-json", "/html", "/big"])
def test_null_field_leaves_alone_what_it_cannot_read(http_link, path):
    caller = http_link.caller()
    whole = caller.ask(path)
    http_link.rule("null_field", path="id")
    assert caller.ask(path) == whole
    assert http_link.touched() == 0


@pytest.mark.parametrize("field", ["none", "customer.vip", "items.2.price", "items.x", "id.x", "items.*.none"])
def test_null_field_leaves_alone_what_has_no_such_field(http_link, field):
    http_link.rule("null_field", path=field)
    assert json.loads(http_link.caller().ask("/json")) == DOCUMENT
    assert http_link.touched() == 0


def test_duplicate_reaches_the_callee_twice_and_the_caller_once(http_link, callee):
    http_link.rule("duplicate", scope={"method": "POST"})
    caller = http_link.caller()
    assert caller.ask("/pay", "POST", b"body") == b"/pay"
    assert caller.ask("/look") == b"/look"
    assert callee.asked == [("POST", "/pay", b"body")] * 2 + [("GET", "/look", b"")]
    assert http_link.touched() == 1


def test_duplicate_of_a_chunked_request_and_reply(http_link, callee):
    http_link.rule("duplicate", scope={"next": 1})
    caller = http_link.caller()
    assert json.loads(caller.ask("/chunked")) == DOCUMENT
    assert caller.ask("/next") == b"/next"
    assert callee.paths() == ["/chunked", "/chunked", "/next"]


def test_rules_add_up(http_link, callee):
    http_link.rule("delay", name="late", latency_s=0.001)
    http_link.rule("null_field", name="null", path="id", scope={"route": "/json"})
    http_link.rule("slow_body", name="slow", rate=100_000)
    http_link.rule("duplicate", name="twice")
    caller = http_link.caller()
    assert json.loads(caller.ask("/json")) == DOCUMENT | {"id": None}
    assert caller.ask("/next") == b"/next"
    eventually(lambda: callee.paths() == ["/json", "/json", "/next", "/next"])
    assert [http_link.touched(name) for name in ("late", "null", "slow", "twice")] == [2, 1, 2, 2]


# -- scopes ------------------------------------------------------------------------------------------------------------


def token(claims, scheme="Bearer"):
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({}, claims, {}))
    return f"{scheme} {'.'.join(parts)}"


SCOPES = {
    "tenant in the header": (
        {"tenant": "acme"},
        [{"x_tenant_id": "acme"}, {"X_Tenant_Id": " acme "}],
        [{}, {"x_tenant_id": "acme2"}, {"x_tenant_id": "ACME"}],
    ),
    "tenant in the token": (
        {"tenant": "acme"},
        [{"Authorization": token({"tenant": "acme"})}, {"Authorization": token({"tenant": "acme"}, "bearer")}],
        [
            {"Authorization": token({"tenant": "other"})},
            {"Authorization": token({"tenant": ["acme"]})},
            {"Authorization": token({"tenant": "acme"}, "Basic")},
            {"Authorization": token(["acme"])},
            {"Authorization": "Bearer a.%.c"},
            {"Authorization": "Bearer"},
            {"Authorization": token({"tenant": "acme"}), "x_tenant_id": "other"},
        ],
    ),
    "method": ({"method": "POST"}, [{"method": "POST"}], [{"method": "PUT"}, {}]),
    "method in lower case": ({"method": "post"}, [{"method": "POST"}], [{}]),
    "route": ({"route": "/orders"}, [{"path": "/orders"}, {"path": "/orders?a=b"}], [{"path": "/orders/"}, {}]),
    "route with stars": (
        {"route": "/orders/*/items/*"},
        [{"path": "/orders/7/items/"}, {"path": "/orders/7/8/items/9?x=/"}],
        [{"path": "/orders/items/9"}, {"path": "/x/orders/7/items/9"}, {"path": "/orders/7?/items/"}],
    ),
    "header": ({"header": {"X-Plan": "gold"}}, [{"x_plan": "gold"}], [{"x_plan": "golden"}, {"x_plan": ""}, {}]),
    "header with stars": (
        {"header": {"user-agent": "*bot*", "x-plan": "*"}},
        [{"User_Agent": "a robot", "X_Plan": "any"}, {"User_Agent": "bot/2", "X_Plan": ""}],
        [{"User_Agent": "a robot"}, {"User_Agent": "human", "X_Plan": "any"}],
    ),
    "trace": (
        {"trace": TRACE},
        [
            {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
            {"Traceparent": f"00-{TRACE.upper()}-b7ad6b7169203331-01"},
        ],
        [{}, {"traceparent": f"00-{TRACE[::-1]}-b7ad6b7169203331-01"}, {"traceparent": TRACE}],
    ),
    "all parts": (
        {"tenant": "acme", "method": "PUT", "route": "/a*", "header": {"x-plan": "gold"}, "share": 1, "next": 1},
        [{"x_tenant_id": "acme", "method": "PUT", "path": "/ab", "x_plan": "gold"}],
        [{"x_tenant_id": "acme", "method": "PUT", "path": "/b", "x_plan": "gold"}],
    ),
}


@pytest.mark.parametrize(("scope", "hits", "spares"), SCOPES.values(), ids=SCOPES.keys())
def test_a_scope_hits_what_fits_and_nothing_else(http_link, callee, scope, hits, spares):
    caller = http_link.caller()  # open before the rule is there
    http_link.rule("answer", status=503, scope=scope)

    def status(request):
        caller.ask(**{"path": "/", **request})
        return caller.status

    assert [status(request) for request in [*spares, *hits, *spares]] == [200] * len(spares) + [503] * len(hits) + [
        200
    ] * len(spares)
    assert (len(callee.asked), http_link.touched()) == (2 * len(spares), len(hits))


def test_next_hits_the_next_requests_on_whatever_connection(http_link):
    http_link.rule("answer", status=503, scope={"next": 3, "route": "/a"})
    callers = [http_link.caller(), http_link.caller()]
    statuses = []
    for number in range(6):
        callers[number % 2].ask("/b")
        callers[number % 2].ask("/a")
        statuses.append(callers[number % 2].status)
    assert statuses == [503] * 3 + [200] * 3


def hits_of_share(api, make_http_link, share, count=60):
    link = make_http_link(api)
    link.rule("answer", status=503, scope={"share": share})
    caller = link.caller()
    hits = []
    for _ in range(count):
        caller.ask("/")
        hits.append(caller.status == 503)
    return hits


def test_share_hits_the_same_requests_for_the_same_seed(start_server, make_http_link):
    first, again, other = (
        hits_of_share(start_server("--seed", seed).api, make_http_link, 0.5) for seed in ("1", "1", "2")
    )
    assert first == again != other
    assert 0 < sum(first) < 60


@pytest.mark.parametrize(("share", "hits"), [(0, 0), (1, 20)])
def test_share_of_none_and_all(api, make_http_link, share, hits):
    assert sum(hits_of_share(api, make_http_link, share, 20)) == hits


# -- evidence ----------------------------------------------------------------------------------------------------------


def test_observed_counts_requests_connections_and_tenants(http_link):
    path = http_link.rule("answer", status=503, scope={"route": "/no"})
    assert http_link.observed() == {"requests": 0, "connections": 0, "tenants": {}, "first_observed_unix_ns": None}
    first, second = http_link.caller(), http_link.caller()
    first.ask("/no", x_tenant_id="acme")
    first.ask("/no", Authorization=token({"tenant": "beta"}))
    second.ask("/no", x_tenant_id="acme")
    second.ask("/no")
    second.ask("/yes", x_tenant_id="acme")
    observed = http_link.observed()
    assert observed.pop("first_observed_unix_ns") > 0
    assert observed == {"requests": 4, "connections": 2, "tenants": {"acme": 2, "beta": 1}}
    http_link.api.delete(path)
    assert http_link.touched() == 4
    http_link.rule("hang")
    assert http_link.touched() == 0
    http_link.api.post("/reset")
    assert http_link.api.get("/harness/observed").json == {http_link.name: {}}


# -- how rules go ------------------------------------------------------------------------------------------------------


def test_reset_removes_rules_and_frees_what_they_hold(http_link):
    caller = http_link.caller()
    http_link.rule("hang")
    caller.send_request("/a")
    eventually(lambda: http_link.touched() == 1)
    assert http_link.api.post("/reset").status == 204
    assert caller.hear() == b"/a"
    assert http_link.api.get("/harness/rules").json == []


def test_a_lapsed_lease_removes_rules_and_frees_what_they_hold(start_server, make_http_link):
    link = make_http_link(start_server().api)
    caller = link.caller()
    link.rule("hang")
    caller.send_request("/a")
    eventually(lambda: link.touched() == 1)
    link.api.post("/harness/lease", {"lease_s": 0.05})
    assert caller.hear() == b"/a"
    assert link.api.get("/harness/rules").json == []


def test_a_deleted_proxy_takes_rules_and_held_requests_along(http_link, callee):
    caller = http_link.caller()
    http_link.rule("hang")
    caller.send_request("/a", "POST", b"body")
    eventually(lambda: http_link.touched() == 1)
    assert http_link.api.delete(f"/proxies/{http_link.name}").status == 204
    assert caller.hear() in ("FIN", "RST")
    assert http_link.api.get("/harness/rules").json == []
    eventually(lambda: callee.connections == 1)
    assert callee.asked == []


def test_a_disabled_proxy_keeps_its_rules(http_link):
    http_link.rule("answer", status=503)
    path = f"/proxies/{http_link.name}"
    http_link.api.patch(path, {"enabled": False})
    http_link.api.patch(path, {"enabled": True})
    caller = http_link.caller()
    caller.ask("/")
    assert caller.status == 503


# -- company -----------------------------------------------------------------------------------------------------------


def test_a_toxic_and_a_rule_work_side_by_side(http_link):
    http_link.rule("null_field", path="id")
    for stream in ("upstream", "downstream"):
        toxic = {"type": "slicer", "stream": stream, "attributes": {"average_size": 20, "size_variation": 10}}
        assert http_link.api.post(f"/proxies/{http_link.name}/toxics", toxic).status == 200
    caller = http_link.caller()
    for _ in range(3):
        assert json.loads(caller.ask("/gzip-chunked") and caller.ask("/json")) == DOCUMENT | {"id": None}


def test_a_stream_passes_piece_by_piece_and_a_rule_spares_it(http_link, callee):
    http_link.rule("corrupt", bytes=5, scope={"route": "/other"})
    caller = http_link.caller()
    caller.send_request("/stream")
    reply = caller.getresponse()
    assert reply.read(14) == b"the first part"
    callee.release.set()
    assert reply.read() == b""


def test_a_hundred_callers_at_once_each_get_their_own(http_link, callee):
    http_link.rule("delay", name="late", latency_s=0.01, scope={"share": 0.5})
    http_link.rule("answer", name="no", status=503, scope={"route": "/*/3"})
    http_link.rule("duplicate", name="twice", scope={"route": "/*/4"})
    wrong = []

    def converse(number):
        caller = http_link.caller()
        for turn in range(5):
            body = caller.ask(f"/{number}/{turn}", "POST", b"x" * number)
            if body != (b"" if turn == 3 else f"/{number}/{turn}".encode()):
                wrong.append((number, turn, body))

    callers = [threading.Thread(target=converse, args=(number,)) for number in range(100)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []
    eventually(lambda: len(callee.asked) == 500)  # a hundred spared, a hundred twice
    assert (http_link.touched("no"), http_link.touched("twice")) == (100, 100)


def test_a_client_that_never_reads_stops_nobody(http_link):
    http_link.rule("corrupt", bytes=1, scope={"route": "/big"})
    http_link.rule("answer", name="no", status=503, scope={"route": "/no"})
    deaf = http_link.dial()
    deaf.fill(b"GET /big HTTP/1.1\r\n\r\nGET /no HTTP/1.1\r\n\r\n" * 100)
    caller = http_link.caller()
    caller.ask("/no")
    assert (caller.status, caller.ask("/yes")) == (503, b"/yes")
    for name in ("rule", "no"):
        assert http_link.api.delete(f"/harness/rules/{name}").status == 204
    assert http_link.caller().ask("/no") == b"/no"


def test_a_held_body_that_is_large_waits_in_the_caller(http_link, callee):
    path = http_link.rule("hang")
    wire = http_link.dial()
    size = 30_000_000
    wire.send(b"POST /large HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)
    sent = wire.fill(b"x" * 65536, most=size)
    http_link.api.delete(path)
    wire.send(b"x" * (size - sent))
    assert b"/large" in read_until(wire, b"/large")
    assert [(method, path, len(body)) for method, path, body in callee.asked] == [("POST", "/large", size)]


def test_connections_from_before_the_description_stay_as_they_are(make_http_link):
    link = make_http_link(seen=False)
    early = link.caller()
    assert early.ask("/a") == b"/a"
    link.describe({"protocol": "http"})
    link.rule("answer", status=503)
    assert early.ask("/b") == b"/b"
    late = link.caller()
    late.ask("/c")
    assert late.status == 503
