"""Rules on single HTTP requests, over real sockets: each action hits what its scope names, and spares the rest."""

import base64
import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.embedded

TRACE = "0af7651916cd43dd8448eb211c80319c"
HOLD = 3600.0  # seconds; nothing here waits for it


def request(path="/pay", *, method="GET", body=b"", **headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: a", *(f"{name.replace('_', '-')}: {v}" for name, v in headers.items())]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def reply(body=b"ok", *, status="200 OK", **headers):
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def chunked(*chunks):
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


@pytest.fixture
def seen(link):
    """A link that the proxy sees into, and rules on it."""
    about = {"protocol": "http", "tenant": {"header": "X-Tenant-Id", "claim": "tenant"}}
    assert link.api.call("PUT", f"/harness/links/{link.name}", about).json["sees_http"] is True

    def rule(kind, *, name="r", scope=None, **attributes):
        body = {"name": name, "proxy": link.name, "scope": scope or {}, "action": {"type": kind, **attributes}}
        made = link.api.post("/harness/rules", body)
        assert made.status == 201, made
        return f"/harness/rules/{name}"

    link.rule = rule
    link.felt = lambda name="r": link.api.get("/harness/felt").json[link.name][name]
    return link


def passes(client, callee, sent, answer=None):
    """Say whether a request reaches the callee as it was sent, and its reply the caller."""
    answer = answer or reply()
    client.send(sent)
    assert callee.read(len(sent)) == sent
    callee.send(answer)
    return client.read(len(answer)) == answer


# -- scope -------------------------------------------------------------------------------------------------------------


def token(**claims):
    return "Bearer " + ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b"{}", json.dumps(claims).encode(), b"x")
    )


SCOPES = [
    ({"tenant": "acme"}, request(X_Tenant_Id="acme"), request(X_Tenant_Id="globex")),
    ({"tenant": "acme"}, request(Authorization=token(tenant="acme")), request(Authorization=token(tenant="globex"))),
    ({"tenant": "acme"}, request(x_tenant_id="acme"), request(Authorization="Bearer a.b.c")),
    ({"method": "POST"}, request(method="POST", body=b"x"), request()),
    ({"route": "/pay/*"}, request("/pay/1?a=b"), request("/refund/pay/1")),
    ({"route": "/*/items/*"}, request("/orders/items/2"), request("/orders/item/2")),
    ({"header": {"X-Plan": "g*d"}}, request(x_plan="gold"), request(x_plan="silver")),
    ({"header": {"X-Plan": "gold"}}, request(X_PLAN="gold"), request()),
    (
        {"trace": TRACE},
        request(traceparent=f"00-{TRACE}-b7ad6b7169203331-01"),
        request(traceparent=f"00-{TRACE[::-1]}-b7ad6b7169203331-01"),
    ),
    ({"tenant": "acme", "route": "/pay"}, request(X_Tenant_Id="acme"), request("/other", X_Tenant_Id="acme")),
]


@pytest.mark.parametrize(
    ("scope", "hit", "spared"), SCOPES, ids=[f"{next(iter(s))}-{n}" for n, (s, *_) in enumerate(SCOPES)]
)
def test_a_scope_hits_what_it_names_on_a_connection_that_is_open(seen, scope, hit, spared):
    client, callee = seen.open()
    assert passes(client, callee, hit)
    seen.rule("answer", scope=scope, status=503)
    assert passes(client, callee, spared)
    client.send(hit)
    assert client.read(12) == b"HTTP/1.1 503"
    assert callee.is_silent()


def test_next_hits_so_many_requests_that_match(seen):
    client, callee = seen.open()
    seen.rule("answer", scope={"next": 2, "route": "/pay"}, status=500)
    answer = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
    for path, is_hit in (("/other", False), ("/pay", True), ("/pay", True), ("/pay", False)):
        client.send(request(path))
        if is_hit:
            assert client.read(len(answer)) == answer
        else:
            assert callee.read(len(request(path))) == request(path)
            assert passes_reply(client, callee)
    assert seen.felt()["requests"] == 2


def test_a_share_hits_the_same_requests_for_the_same_seed(make_link, start_server):
    def hits(seed):
        link = make_link(server=start_server("--seed", seed).api)
        link.api.call("PUT", f"/harness/links/{link.name}", {"protocol": "http"})
        body = {"name": "r", "proxy": link.name, "scope": {"share": 0.5}, "action": {"type": "answer", "status": 503}}
        link.api.post("/harness/rules", body)
        client, callee = link.open()
        found = []
        for _ in range(40):
            client.send(request())
            if not callee.is_silent():
                callee.read(len(request()))
                callee.send(reply())
            found.append(client.read(12)[-3:] == b"503")
            client.read(
                len(reply()) - 12 if not found[-1] else len(b" Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            )
        return found

    first, again, other = hits("1"), hits("1"), hits("2")
    assert first == again != other
    assert 8 < sum(first) < 32


# -- actions -----------------------------------------------------------------------------------------------------------


def test_a_delay_holds_the_request_and_its_removal_lets_it_go(seen):
    client, callee = seen.open()
    rule = seen.rule("delay", latency_s=HOLD)
    client.send(request())
    assert callee.is_silent()
    assert seen.felt()["requests"] == 1
    assert seen.api.delete(rule).status == 204
    assert callee.read(len(request())) == request()
    assert passes_reply(client, callee)


def passes_reply(client, callee, answer=None):
    answer = answer or reply()
    callee.send(answer)
    return client.read(len(answer)) == answer


def test_a_delay_passes_the_request_on_when_its_time_has_come(seen):
    client, callee = seen.open()
    seen.rule("delay", latency_s=0.05, jitter_s=0.01, distribution="uniform")
    sent = request(method="POST", body=b"x" * 200_000)
    assert passes(client, callee, sent)


def test_a_hanging_request_waits_for_the_rule_and_others_do_not(seen):
    rule = seen.rule("hang", scope={"tenant": "acme"})
    hanging, its_callee = seen.open()
    hanging.send(request(X_Tenant_Id="acme"))
    client, callee = seen.open()
    assert passes(client, callee, request(X_Tenant_Id="globex"))
    assert its_callee.is_silent()
    assert hanging.is_silent()
    assert seen.api.delete(rule).status == 204
    assert its_callee.read(4) == b"GET "


def test_a_caller_that_leaves_takes_its_hanging_request_with_it(seen):
    client, callee = seen.open()
    seen.rule("hang")
    client.send(request())
    assert callee.is_silent()
    client.close()
    assert callee.read_all() == b""


def test_an_answer_comes_from_the_proxy_and_the_connection_goes_on(seen):
    client, callee = seen.open()
    rule = seen.rule("answer", status=429, headers={"Retry-After": "2"}, body='{"error": "slow down"}')
    client.send(request(method="POST", body=b"x" * 100_000))
    expected = (
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b'Content-Length: 22\r\n\r\n{"error": "slow down"}'
    )
    assert client.read(len(expected)) == expected
    assert callee.is_silent()
    seen.api.delete(rule)
    assert passes(client, callee, request())


def test_an_answer_to_head_has_no_body_and_one_to_a_caller_that_closes_closes(seen):
    client, _ = seen.open()
    seen.rule("answer", status=200, body="abc")
    client.send(request(method="HEAD", Connection="close"))
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    )
    assert client.read_all() == head


def test_a_reset_request_never_reaches_the_callee(seen):
    client, callee = seen.open()
    seen.rule("reset_request")
    client.send(request())
    assert client.ending() == "RST"
    with pytest.raises(ConnectionResetError):
        assert callee.read(1) == b""


def test_a_lost_reply_lets_the_callee_run(seen):
    client, callee = seen.open()
    seen.rule("lose_reply")
    client.send(request())
    assert callee.read(len(request())) == request()
    callee.send(reply(b"x" * 1000))
    assert client.ending() == "RST"


@pytest.mark.parametrize("whole", [reply(b"0123456789"), chunked(b"01234", b"56789")], ids=["sized", "chunked"])
def test_a_truncated_body_breaks_off(seen, whole):
    client, callee = seen.open()
    seen.rule("truncate", bytes=7)
    client.send(request())
    callee.read(len(request()))
    callee.send(whole)
    got = client.read_all()
    assert b"56" in got
    assert b"7" not in got.partition(b"\r\n\r\n")[2].replace(b"7\r\n", b"")
    assert seen.felt()["requests"] == 1


def test_a_body_that_is_not_longer_stays_whole_and_counts_not(seen):
    client, callee = seen.open()
    seen.rule("truncate", bytes=10)
    assert passes(client, callee, request(), reply(b"0123456789"))
    assert seen.felt()["requests"] == 0


@pytest.mark.parametrize("whole", [reply(b"a" * 100), chunked(b"a" * 60, b"a" * 40)], ids=["sized", "chunked"])
def test_a_corrupted_body_differs_in_so_many_bytes_and_keeps_its_framing(seen, whole):
    client, callee = seen.open()
    rule = seen.rule("corrupt", bytes=3)
    client.send(request())
    callee.read(len(request()))
    callee.send(whole)
    head = client.read(len(whole.partition(b"\r\n\r\n")[0]) + 4)
    body = (
        client.read(100) if b"chunked" not in head else client.read(len(b"64\r\n") + 100 + len(b"\r\n0\r\n\r\n"))[4:104]
    )
    assert sum(byte != ord("a") for byte in body) == 3
    seen.api.delete(rule)
    assert passes(client, callee, request(), whole)


def test_a_slow_body_drips_and_its_removal_lets_the_rest_go(seen):
    client, callee = seen.open()
    rule = seen.rule("slow_body", rate=20)
    client.send(request())
    callee.read(len(request()))
    whole = reply(b"x" * 100_000)
    callee.send(whole)
    assert client.read(len(whole) - 100_000 + 2) == whole[: len(whole) - 100_000 + 2]
    seen.api.delete(rule)
    assert client.read(99_998) == b"x" * 99_998
    assert passes(client, callee, request())


@pytest.mark.parametrize("zipped", [False, True])
def test_a_field_is_null(seen, zipped):
    client, callee = seen.open()
    seen.rule("null_field", path="items.*.price")
    body = json.dumps({"items": [{"price": 5}, {"price": 6, "name": "x"}]}).encode()
    answer = reply(gzip.compress(body), Content_Encoding="gzip") if zipped else chunked(body[:10], body[10:])
    client.send(request())
    callee.read(len(request()))
    callee.send(answer)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.read(1)
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    got = client.read(length)
    assert json.loads(gzip.decompress(got) if zipped else got) == {
        "items": [{"price": None}, {"price": None, "name": "x"}]
    }


@pytest.mark.parametrize("body", [b"[1]", b"no json", b'{"a": null}', b'{"b": 1}', b"[" * 100_000])
def test_a_reply_without_that_field_stays_as_it_is_and_counts_not(seen, body):
    client, callee = seen.open()
    seen.rule("null_field", path="a")
    assert passes(client, callee, request(), reply(body))
    assert seen.felt()["requests"] == 0


def test_a_duplicated_request_reaches_the_callee_twice_and_is_answered_once(seen):
    client, callee = seen.open()
    rule = seen.rule("duplicate")
    sent = request(method="POST", body=b"x" * 70_000)
    client.send(sent)
    assert callee.read(len(sent)) == sent
    callee.send(reply(b"first"))
    assert client.read(len(reply(b"first"))) == reply(b"first")
    assert callee.read(len(sent)) == sent
    callee.send(chunked(b"second"))
    assert client.is_silent()
    seen.api.delete(rule)
    assert passes(client, callee, request("/next"))


def test_two_rules_act_together(seen):
    client, callee = seen.open()
    delay = seen.rule("delay", name="first", latency_s=HOLD)
    seen.rule("corrupt", name="second", bytes=1)
    client.send(request())
    assert callee.is_silent()
    seen.api.delete(delay)
    callee.read(len(request()))
    callee.send(reply(b"aaaa"))
    assert client.read(len(reply(b"aaaa"))) != reply(b"aaaa")
    assert (seen.felt("first")["requests"], seen.felt("second")["requests"]) == (1, 1)


# -- what lets go ------------------------------------------------------------------------------------------------------


def reset(seen):
    assert seen.api.post("/reset").status == 204


def lapse(seen):
    assert seen.api.post("/harness/lease", {"lease_s": 0.05}).status == 200


@pytest.mark.parametrize("heal", [reset, lapse])
def test_a_reset_and_a_lapse_remove_rules_and_free_what_they_hold(seen, heal):
    client, callee = seen.open()
    seen.rule("hang")
    client.send(request())
    assert callee.is_silent()
    heal(seen)
    assert callee.read(len(request())) == request()
    assert seen.api.get("/harness/rules").json == []
    seen.api.call("DELETE", "/harness/lease")


def test_a_deleted_proxy_takes_its_rules_along(seen):
    seen.rule("hang")
    assert seen.api.delete(seen.path).status == 204
    assert seen.api.get("/harness/rules").json == []


def test_what_was_felt_is_told_by_tenant_and_outlives_the_rule(seen):
    client, _ = seen.open()
    rule = seen.rule("answer", status=204)
    for tenant in ("acme", "acme", "globex"):
        client.send(request(X_Tenant_Id=tenant))
        client.read(len(b"HTTP/1.1 204 No Content\r\n\r\n"))
    seen.api.delete(rule)
    felt = seen.felt()
    assert felt.pop("first_felt_unix_ns") > 0
    assert felt == {"requests": 3, "connections": 1, "tenants": {"acme": 2, "globex": 1}}


# -- hard cases --------------------------------------------------------------------------------------------------------


def test_a_hundred_connections_at_once(seen):
    seen.rule("delay", latency_s=0.02, scope={"tenant": "acme"})
    pairs = [seen.open() for _ in range(100)]

    def converse(number):
        client, callee = pairs[number]
        sent = request(X_Tenant_Id="acme" if number % 2 else "globex")
        return all(passes(client, callee, sent) for _ in range(3))

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(converse, range(100)))
    assert seen.felt()["requests"] == 150


def test_a_caller_that_never_reads_cannot_pile_up_answers(seen):
    client, _ = seen.open()
    seen.rule("answer", status=200, body="x" * 100_000)
    client.fill(request() * 100)
    assert seen.felt()["requests"] < 500


def test_toxics_work_beside_rules(seen):
    client, callee = seen.open()
    seen.rule("corrupt", bytes=1, scope={"tenant": "acme"})
    limit = seen.add("bandwidth", rate=0)
    client.send(request())
    callee.read(len(request()))
    callee.send(reply())
    assert client.is_silent()
    assert seen.api.delete(limit).status == 204
    assert client.read(len(reply())) == reply()


@pytest.mark.parametrize("words", [b"\x16\x03\x01 no http\r\n\r\n", b"GET / HTTP/1.1\nHost: a\n\n", b"\x00" * 100_000])
def test_what_is_no_http_passes_both_ways(seen, words):
    client, callee = seen.open()
    client.send(words)
    assert callee.read(len(words)) == words
    callee.send(words)
    assert client.read(len(words)) == words
    client.half_close()
    assert callee.read_all() == b""
    callee.send(b"bye")
    callee.close()
    assert client.read_all() == b"bye"


def test_an_upgraded_connection_is_left_alone(seen):
    client, callee = seen.open()
    seen.rule("hang", scope={"route": "/never"})
    client.send(request("/chat", Connection="Upgrade", Upgrade="websocket"))
    callee.read(30)
    switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x00"
    callee.send(switched)
    assert client.read(len(switched)) == switched
    callee_words = request("/never")
    callee.raw.recv(65536)
    client.send(callee_words)
    assert callee.read(len(callee_words)) == callee_words


def test_pipelined_requests_keep_their_order(seen):
    client, callee = seen.open()
    seen.rule("answer", status=204, scope={"route": "/own"})
    client.send(request("/1") + request("/own") + request("/2"))
    callee.read(len(request("/1")))
    assert client.is_silent()  # its turn comes after the first
    callee.send(reply(b"1"))
    expected = reply(b"1") + b"HTTP/1.1 204 No Content\r\n\r\n"
    assert client.read(len(expected)) == expected
    assert callee.read(len(request("/2"))) == request("/2")


# -- the API -----------------------------------------------------------------------------------------------------------

WRONG = [
    ({"action": {"type": "delay", "latency_s": 1}, "proxy": "link"}, 400, "name"),
    ({"name": "r", "proxy": "link"}, 400, "action"),
    ({"name": "r", "proxy": "link", "action": {"type": "explode"}}, 400, "explode"),
    ({"name": "r", "proxy": "link", "action": {"type": "delay"}}, 400, "latency_s"),
    ({"name": "r", "proxy": "link", "action": {"type": "delay", "latency_s": -1}}, 400, "latency_s"),
    ({"name": "r", "proxy": "link", "action": {"type": "delay", "latency_s": "1"}}, 400, "latency_s"),
    ({"name": "r", "proxy": "link", "action": {"type": "delay", "latency_s": 1e9}}, 400, "latency_s"),
    ({"name": "r", "proxy": "link", "action": {"type": "delay", "latency_s": 1, "jitter_s": 1}}, 400, "distribution"),
    ({"name": "r", "proxy": "link", "action": {"type": "answer", "status": 99}}, 400, "status"),
    ({"name": "r", "proxy": "link", "action": {"type": "answer", "status": 200, "headers": {"a b": "c"}}}, 400, "a b"),
    (
        {"name": "r", "proxy": "link", "action": {"type": "answer", "status": 200, "headers": {"a": "b\r\nc: d"}}},
        400,
        "header",
    ),
    ({"name": "r", "proxy": "link", "action": {"type": "slow_body", "rate": 0}}, 400, "rate"),
    ({"name": "r", "proxy": "link", "action": {"type": "hang"}, "scope": {"share": 2}}, 400, "share"),
    ({"name": "r", "proxy": "link", "action": {"type": "hang"}, "scope": {"next": 0}}, 400, "next"),
    ({"name": "r", "proxy": "link", "action": {"type": "hang"}, "scope": {"trace": "xyz"}}, 400, "trace"),
    ({"name": "r", "proxy": "link", "action": {"type": "hang"}, "scope": {"colour": "red"}}, 400, "colour"),
    ({"name": "r", "proxy": "nowhere", "action": {"type": "hang"}}, 404, "proxy not found"),
]


@pytest.mark.parametrize(("body", "status", "word"), WRONG)
def test_a_wrong_rule_is_refused_with_its_cause(seen, body, status, word):
    refused = seen.api.post("/harness/rules", body)
    assert (refused.status, word in refused.json["error"]) == (status, True)
    assert seen.api.get("/harness/rules").json == []


def test_rules_are_listed_shown_and_unique(seen):
    path = seen.rule("hang", scope={"tenant": "acme", "next": 3})
    shown = {"name": "r", "proxy": "link", "scope": {"tenant": "acme", "next": 3}, "action": {"type": "hang"}}
    assert seen.api.get(path).json == shown
    assert seen.api.get("/harness/rules").json == [shown]
    assert seen.api.post("/harness/rules", shown).status == 409
    assert seen.api.delete(path).status == 204
    assert (seen.api.delete(path).status, seen.api.get(path).status) == (404, 404)


@pytest.mark.parametrize(
    ("about", "why"),
    [({"protocol": "tcp"}, "speaks no HTTP"), ({"protocol": "https"}, "no identities were given")],
)
def test_a_link_that_cannot_be_seen_into_says_so_and_takes_no_rule(link, about, why):
    told = link.api.call("PUT", f"/harness/links/{link.name}", about).json
    assert (told["sees_http"], why in told["why"]) == (False, True)
    refused = link.api.post("/harness/rules", {"name": "r", "proxy": link.name, "action": {"type": "hang"}})
    assert (refused.status, why in refused.json["error"]) == (409, True)


def test_a_link_that_nobody_described_is_plain_tcp(link):
    assert link.api.get("/harness/links").json[link.name]["sees_http"] is False
    client, callee = link.open()
    assert passes(client, callee, request())
