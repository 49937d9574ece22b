"""Rules and links as the API takes them: every wrong value is a 400 that names it."""

import json
import socket

import pytest

from tests.faultproxy.conftest import HANG_S
from tests.faultproxy.http.conftest import eventually

pytestmark = pytest.mark.embedded
HANG = {"type": "hang"}
ACTIONS = [
    {"type": "delay", "latency_s": 0.3, "jitter_s": 0.05, "distribution": "normal", "ramp_s": 5.0},
    {"type": "answer", "status": 503, "headers": {"X-A": "b"}, "body": "no"},
    HANG,
    {"type": "reset_request"},
    {"type": "lose_reply"},
    {"type": "truncate", "bytes": 0},
    {"type": "corrupt", "bytes": 3},
    {"type": "slow_body", "rate": 1},
    {"type": "null_field", "path": "a.b"},
    {"type": "duplicate"},
]


def rule(**parts):
    return {"name": "rule", "proxy": "payments", "action": HANG, **parts}


def post(link, body):
    reply = link.api.post("/harness/rules", body)
    return reply.status, reply.json.get("error", "")


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action["type"])
def test_a_rule_is_shown_as_it_was_made(http_link, action):
    scope = {"tenant": "a", "method": "GET", "route": "/*", "header": {"x": "y"}, "share": 0.5, "next": 3}
    scope["trace"] = "0" * 32
    body = rule(name="a rule/of 3", scope=scope, action=action)
    made = http_link.api.post("/harness/rules", body)
    assert (made.status, made.json) == (201, body)
    assert http_link.api.get("/harness/rules/a%20rule%2Fof%203").json == body
    assert http_link.api.get("/harness/rules").json == [body]
    assert http_link.api.delete("/harness/rules/a%20rule%2Fof%203").status == 204
    assert http_link.api.get("/harness/rules").json == []


def test_what_is_left_out_or_null_has_its_default(http_link):
    made = http_link.api.post(
        "/harness/rules", rule(scope={"tenant": None}, action={"type": "delay", "latency_s": 1, "ramp_s": None})
    )
    action = {"type": "delay", "latency_s": 1.0, "jitter_s": 0.0, "distribution": "fixed", "ramp_s": 0.0}
    assert made.json == rule(scope={}, action=action)


def delay(**parts):
    return rule(action={"type": "delay", "latency_s": 1, **parts})


def answer(**parts):
    return rule(action={"type": "answer", "status": 503, **parts})


def action(kind, **parts):
    return rule(action={"type": kind, **parts})


HUGE = 10**400
WRONG = [
    ([], "rule must be an object"),
    (b"null", "rule must be an object"),
    (rule(colour="red"), "'colour'"),
    (rule(name=""), "name"),
    (rule(name=None), "name"),
    (rule(name=7), "name"),
    (rule(name="a\nb"), "name"),
    (rule(name="\ud800"), "name"),
    (rule(proxy=""), "proxy"),
    (rule(proxy=["payments"]), "proxy"),
    (rule(scope=[]), "scope"),
    (rule(scope={"tenat": "a"}), "'tenat'"),
    (rule(scope={"tenant": ""}), "scope.tenant"),
    (rule(scope={"tenant": 7}), "scope.tenant"),
    (rule(scope={"method": ""}), "scope.method"),
    (rule(scope={"method": "GET /"}), "scope.method"),
    (rule(scope={"method": ["GET"]}), "scope.method"),
    (rule(scope={"route": ""}), "scope.route"),
    (rule(scope={"route": "/\r\n"}), "scope.route"),
    (rule(scope={"header": "x"}), "scope.header"),
    (rule(scope={"header": {"x y": "z"}}), "scope.header"),
    (rule(scope={"header": {"x": 1}}), "scope.header"),
    (rule(scope={"header": {"x": "a\r\nb"}}), "scope.header"),
    (rule(scope={"header": {"x": "\u20ac"}}), "scope.header"),
    (rule(scope={"share": -0.1}), "scope.share"),
    (rule(scope={"share": 1.1}), "scope.share"),
    (rule(scope={"share": True}), "scope.share"),
    (rule(scope={"share": "20%"}), "scope.share"),
    (rule(scope={"share": HUGE}), "scope.share"),
    (rule(scope={"next": 0}), "scope.next"),
    (rule(scope={"next": 1.5}), "scope.next"),
    (rule(scope={"next": True}), "scope.next"),
    (rule(scope={"next": HUGE}), "scope.next"),
    (rule(scope={"trace": "0" * 31}), "scope.trace"),
    (rule(scope={"trace": "A" * 32}), "scope.trace"),
    (rule(scope={"trace": "0" * 32 + "\n"}), "scope.trace"),
    (rule(action=None), "action"),
    (rule(action=[]), "action.type"),
    (rule(action="hang"), "action.type"),
    (rule(action={}), "action.type"),
    (rule(action={"type": "explode"}), "'explode'"),
    (rule(action={"type": ["hang"]}), "action.type"),
    (action("hang", latency_s=1), "'latency_s'"),
    (action("delay"), "action.latency_s"),
    (delay(latency_s=None), "action.latency_s"),
    (delay(latency_s=-1), "action.latency_s"),
    (delay(latency_s=86_401), "action.latency_s"),
    (delay(latency_s="300ms"), "action.latency_s"),
    (delay(latency_s=HUGE), "action.latency_s"),
    (delay(jitter_s=-1, distribution="normal"), "action.jitter_s"),
    (delay(jitter_s=1), "action.jitter_s"),
    (delay(distribution="gamma"), "action.distribution"),
    (delay(distribution={}), "action.distribution"),
    (delay(ramp_s=-1), "action.ramp_s"),
    (action("answer"), "action.status"),
    (answer(status=199), "action.status"),
    (answer(status=600), "action.status"),
    (answer(status="503"), "action.status"),
    (answer(status=503.0), "action.status"),
    (answer(headers=[]), "action.headers"),
    (answer(headers={"a b": "c"}), "action.headers"),
    (answer(headers={"a": "c\r\nd: e"}), "action.headers"),
    (answer(headers={"Content-Length": "3"}), "Content-Length"),
    (answer(headers={"transfer-encoding": "chunked"}), "transfer-encoding"),
    (answer(headers={"Connection": "close"}), "Connection"),
    (answer(body=7), "action.body"),
    (answer(body="x" * (1024 * 1024 + 1)), "action.body"),
    (action("truncate"), "action.bytes"),
    (action("truncate", bytes=-1), "action.bytes"),
    (action("corrupt", bytes=1.5), "action.bytes"),
    (action("corrupt", bytes=HUGE), "action.bytes"),
    (action("slow_body", rate=0), "action.rate"),
    (action("slow_body"), "action.rate"),
    (action("null_field", path=""), "action.path"),
    (action("null_field", path=["a"]), "action.path"),
    (action("duplicate", times=2), "'times'"),
]


@pytest.mark.parametrize(("body", "named"), WRONG, ids=range(len(WRONG)))
def test_every_wrong_value_is_a_400_that_names_it(http_link, body, named):
    status, error = post(http_link, body)
    assert status == 400
    assert named in error
    assert http_link.api.get("/harness/rules").json == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"name": NaN}', b"[" * 100_000, b'{"name": 1e999}'])
def test_what_is_no_json_is_a_400(http_link, body):
    assert http_link.api.post("/harness/rules", body).status == 400


LINKS = [
    ([], "link must be an object"),
    ({}, "protocol"),
    ({"protocol": "grpc"}, "'grpc'"),
    ({"protocol": ["http"]}, "protocol"),
    ({"protocol": "http", "tennant": {}}, "'tennant'"),
    ({"protocol": "http", "tenant": "x"}, "tenant"),
    ({"protocol": "http", "tenant": {"cookie": "x"}}, "'cookie'"),
    ({"protocol": "http", "tenant": {"header": 7}}, "tenant.header"),
    ({"protocol": "http", "tenant": {"claim": ["a"]}}, "tenant.claim"),
    ({"protocol": "https", "callee": 7}, "callee"),
    ({"protocol": "https", "caller": {}}, "caller"),
    ({"protocol": "https", "identities": []}, "identities"),
    ({"protocol": "https", "identities": {"both": "/x"}}, "'both'"),
    ({"protocol": "https", "identities": {"caller": 7}}, "identities.caller"),
    ({"protocol": "https", "callee": "a", "identities": {"caller": "/a\0", "callee": "/b"}}, "identities.caller"),
    ({"protocol": "https", "identities": {"caller": "/a", "callee": "/b"}}, "callee"),
]


@pytest.mark.parametrize(("about", "named"), LINKS, ids=range(len(LINKS)))
def test_every_wrong_description_is_a_400_that_names_it(http_link, about, named):
    reply = http_link.api.call("PUT", "/harness/links/payments", about)
    assert reply.status == 400
    assert named in reply.json["error"]
    assert http_link.describe({"protocol": "http"}) == {"sees_http": True, "protocol": "http"}


def test_what_is_not_there_is_a_404(http_link):
    api = http_link.api
    calls = [
        api.get("/harness/rules/none"),
        api.delete("/harness/rules/none"),
        api.post("/harness/rules", rule(proxy="none")),
        api.call("PUT", "/harness/links/none", {"protocol": "http"}),
    ]
    assert [(reply.status, reply.json["error"]) for reply in calls] == [
        (404, "rule not found"),
        (404, "rule not found"),
        (404, "proxy not found"),
        (404, "proxy not found"),
    ]
    assert [api.get(path).status for path in ("/harness/rules/", "/harness/rules/a/b", "/harness/nothing")] == [404] * 3


def test_wrong_methods_are_a_405(http_link):
    http_link.rule("hang")
    for method, path in (
        ("PUT", "/harness/rules"),
        ("PATCH", "/harness/rules/rule"),
        ("GET", "/harness/links/payments"),
    ):
        assert http_link.api.call(method, path, {}).status == 405


def test_a_name_is_taken_once_over_all_proxies(http_link, make_http_link):
    make_http_link(name="other")
    assert post(http_link, rule())[0] == 201
    assert post(http_link, rule()) == (409, "rule already exists")
    assert post(http_link, rule(proxy="other")) == (409, "rule already exists")
    http_link.api.delete("/harness/rules/rule")
    assert post(http_link, rule(proxy="other"))[0] == 201


def test_a_rule_cannot_have_the_name_of_a_toxic_of_its_proxy(http_link):
    assert http_link.api.post("/proxies/payments/toxics", {"name": "rule", "type": "latency"}).status == 200
    assert post(http_link, rule()) == (409, "rule already exists")


@pytest.mark.parametrize(
    ("about", "why"),
    [
        (None, "not described as http or https"),
        ({"protocol": "tcp"}, "speaks no HTTP"),
        ({"protocol": "https", "callee": "payments"}, "no identities were given"),
        (
            {"protocol": "https", "callee": "payments", "identities": {"caller": "/no/such", "callee": "/no/such"}},
            "there is no identity at /no/such",
        ),
    ],
)
def test_a_link_whose_requests_cannot_be_seen_takes_no_rule_and_says_why(make_http_link, about, why):
    link = make_http_link(seen=False)
    if about is not None:
        shown = link.describe(about)
        assert (shown["sees_http"], why in shown["why"], shown["protocol"]) == (False, True, about["protocol"])
    status, error = post(link, rule())
    assert status == 409
    assert "cannot see single requests of payments" in error
    assert why in error
    if about is not None:
        assert link.api.get("/harness/links").json["payments"].items() >= shown.items()
    assert link.caller().ask("/still") == b"/still"


def test_the_api_answers_while_every_kind_of_request_is_held(http_link):
    scope = {"next": 1}
    for number, kind in enumerate(ACTIONS):
        http_link.api.post("/harness/rules", rule(name=f"rule {number}", scope=scope, action=kind))
    for _ in range(3):
        http_link.caller().send_request("/a", "POST", b"body")
    stalled = socket.create_connection(http_link.api.address.split(":"), HANG_S)
    with stalled:
        stalled.sendall(b"POST /harness/rules HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        assert len(http_link.api.get("/harness/rules").json) == len(ACTIONS)
        assert http_link.api.get("/harness/observed").status == http_link.api.get("/harness/links").status == 200
        assert http_link.api.post("/reset").status == 204
    assert http_link.caller().ask("/after") == b"/after"


def test_a_file_that_blocks_does_not_stop_the_api(make_http_link, tmp_path):
    encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (tmp_path / name).write_text(encrypted)
    folders = {"caller": str(tmp_path), "callee": str(tmp_path)}
    shown = make_http_link(seen=False).describe({"protocol": "https", "callee": "a", "identities": folders})
    assert shown["sees_http"] is False
    assert f"the identity at {tmp_path} cannot be read" in shown["why"]


def test_observed_of_a_rule_is_json_with_any_tenant(http_link):
    http_link.rule("answer", status=503)
    wire = http_link.dial()
    wire.send(b'GET / HTTP/1.1\r\nx-tenant-id: \xe9\x00"\\\r\n\r\n')
    eventually(lambda: http_link.touched() == 1)
    assert json.loads(json.dumps(http_link.observed()["tenants"])) == {'\xe9\x00"\\': 1}
