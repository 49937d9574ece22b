"""Requests made by a machine that means ill, against the real stack: never a 500, never another tenant's data."""

import contextlib
import http.client
import json
import socket
import string
import uuid
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

TENANTS = ("acme", "globex", "initech")
FINE = {200, 201, 400, 401, 402, 403, 404, 405, 409, 413, 414, 422, 429}
"""Whatever is sent, it is the sender's mistake or an answer."""
BUSY = {503, 504}
"""Excused twice, for a machine may be busy; thrice would mean that the request does harm by itself."""

HARD = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
odd_text = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "",
            "\x00",
            "\ud800",
            "globex",
            "GLOBEX",
            "globex\u0000",
            "' OR '1'='1",
            "%s%n",
            "../../etc/passwd",
            "sku-1; DROP TABLE products",
            "\u202e\u0301",
            "𐍈" * 50,
            "a" * 5000,
            "9" * 400,
            "{tenant}",
            "-1",
            "1e400",
        ]
    ),
)
odd_number = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400, 1e308])
)
odd_value = st.recursive(
    st.one_of(st.none(), st.booleans(), odd_number, odd_text),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_text, inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    ["items", "sku", "quantity", "tenant", "tenant_id", "user", "client_secret", "quantities", "__proto__"]
)
odd_body = st.one_of(
    odd_value,
    st.dictionaries(names, odd_value, max_size=5),
    st.fixed_dictionaries({"items": st.lists(st.dictionaries(names, odd_value, max_size=4), max_size=4)}),
)
raw_body = st.one_of(odd_body.map(lambda value: json.dumps(value).encode()), st.binary(max_size=200))
token_chars = string.ascii_letters + string.digits + "-"
odd_header = st.tuples(
    st.sampled_from(
        [
            "x-tenant-id",
            "X-Tenant-Id",
            "Idempotency-Key",
            "traceparent",
            "x-deadline-ms",
            "Content-Type",
            "Accept",
            "X-Forwarded-For",
            "baggage",
        ]
    )
    | st.text(token_chars, min_size=1, max_size=20).map(lambda name: f"X-{name}"),
    st.one_of(
        st.sampled_from(["", "acme", "globex", "acme,globex", "-1", "9" * 400, "a" * 3000, "00-0-0-0", "text/x;;;="]),
        st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60),
    ),
)
path = st.builds(
    lambda base, tail, query: base + tail + query,
    st.sampled_from(
        [
            "/orders",
            "/catalog/products",
            "/identity/token",
            "/identity/users",
            "/me",
            "/notifications",
            "/insights/summary",
            "/",
            "/health/ready",
            "/metrics",
        ]
    ),
    st.one_of(
        st.just(""), st.text(string.printable.replace(" ", "")[:88], max_size=30).map(lambda text: f"/{_quoted(text)}")
    ),
    st.one_of(
        st.just(""),
        st.tuples(st.sampled_from(["limit", "after", "since", "tenant", "tenant_id", "x"]), odd_text).map(
            lambda pair: f"?{pair[0]}={_quoted(pair[1])}"
        ),
    ),
)


def _quoted(text):
    return quote(text.encode("utf-8", "surrogatepass"), safe="/%")


def patiently(send_once):
    """Return the first status and body that are no excuse, else the third."""
    answers = (send_once() for _ in range(3))
    last = None, b""
    for last in answers:
        if last[0] not in BUSY:
            break
    return last


def send(stack, method, target, headers, body):
    """Send headers as they are, doubled ones too; return status and body, None where the server hangs up."""
    return patiently(lambda: _send_once(stack, method, target, headers, body))


def call(stack, *words, **more):
    """Send through a client that means well; return status and body."""

    def send_once():
        reply = stack.call(*words, **more)
        return reply.status, reply.body

    return patiently(send_once)


def _send_once(stack, method, target, headers, body):
    connection = http.client.HTTPConnection("127.0.0.1", stack.ports["gateway"], timeout=20)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode("latin-1"))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        reply = connection.getresponse()
        return reply.status, reply.read()
    except (ValueError, http.client.HTTPException, ConnectionError):
        return None, b""
    finally:
        connection.close()


def tenants_in(answer):
    """Return the tenants that an answer says its data is of."""
    if isinstance(answer, dict):
        own = {answer["tenant"]} if isinstance(answer.get("tenant"), str) else set()
        return own.union(*(tenants_in(value) for value in answer.values()))
    if isinstance(answer, list):
        return set().union(*(tenants_in(value) for value in answer))
    return set()


@pytest.fixture
def secret(stack):
    """An order of globex, whose id no other tenant's answer may ever hold."""
    stack.token("acme")
    return stack.order("globex").json["id"]


@HARD
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]),
    target=path,
    headers=st.lists(odd_header, max_size=5),
    body=raw_body,
)
@example(method="GET", target="/orders?tenant=globex", headers=[], body=b"")
@example(method="GET", target="/orders", headers=[("x-tenant-id", "acme"), ("x-tenant-id", "globex")], body=b"")
@example(method="POST", target="/orders", headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")], body=b"{}")
@example(method="POST", target="/identity/token", headers=[], body=b'{"tenant": "acme", "client_secret": NaN}')
def test_no_request_breaks_a_service_or_shows_another_tenants_data(stack, secret, method, target, headers, body):
    credentials = [("Authorization", f"Bearer {stack.token('acme')}")]
    status, answer = send(stack, method, target, credentials + headers, body)
    assert status is None or status in FINE, (status, answer[:300])
    if secret.encode() in answer and status != 404:
        assert secret in target
    with contextlib.suppress(ValueError):
        assert tenants_in(json.loads(answer)) <= {"acme"} or b"/identity/token" in target.encode()


@HARD
@given(body=odd_body)
@example(body={"items": [{"sku": "sku-1", "quantity": 10**400}]})
@example(body={"items": [{"sku": "sku-1", "quantity": 1}], "tenant": "globex"})
def test_no_order_breaks_a_service(stack, body):
    headers = {"Idempotency-Key": uuid.uuid4().hex, "Content-Type": "application/json"}
    status, answer = call(stack, "POST", "/orders", tenant="acme", headers=headers, body=json.dumps(body).encode())
    assert status in FINE, answer[:300]
    assert tenants_in(json.loads(answer)) <= {"acme"}


@HARD
@given(key=st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=300))
def test_no_idempotency_key_breaks_a_service(stack, key):
    headers = [("Authorization", f"Bearer {stack.token('acme')}"), ("Idempotency-Key", key)]
    status, answer = send(stack, "POST", "/orders", headers, b'{"items": [{"sku": "sku-1", "quantity": 1}]}')
    assert status in FINE, answer[:300]


@pytest.mark.parametrize("at", ["payments", "inventory", "catalog", "orders", "identity", "notifications", "insights"])
@settings(HARD, max_examples=15)
@given(body=raw_body, query=odd_text)
def test_no_request_of_a_neighbour_breaks_an_inner_service(stack, at, body, query):
    """Past the gateway, as the service that may call: mistakes of ours must not fell a service either."""
    routes = {
        "payments": ("POST", "/payments", "orders"),
        "inventory": ("POST", "/reservations", "orders"),
        "catalog": ("GET", f"/catalog/products?after={_quoted(query)}", "gateway"),
        "orders": ("GET", f"/orders?after={_quoted(query)}", "gateway"),
        "identity": ("POST", "/identity/token", "gateway"),
        "notifications": ("GET", f"/notifications?after={_quoted(query)}", "gateway"),
        "insights": ("GET", f"/insights/summary?x={_quoted(query)}", "gateway"),
    }
    method, target, identity = routes[at]
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    status, answer = call(stack, method, target, at=at, identity=identity, tenant="acme", headers=headers, body=body)
    assert status in FINE, answer[:300]
    assert tenants_in(json.loads(answer)) <= {"acme"}


@settings(HARD, max_examples=40)
@given(head=st.binary(max_size=300), rest=st.binary(max_size=300))
@example(head=b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", rest=b"\r\nZZ\r\n")
@example(head=b"GET /orders HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 2000, rest=b"\r\n")
@example(head=b"\x16\x03\x01\x02\x00\x01", rest=b"")
def test_bytes_that_are_no_http_leave_the_gateway_standing(stack, head, rest):
    with socket.create_connection(("127.0.0.1", stack.ports["gateway"]), timeout=20) as connection:
        connection.settimeout(0.05)
        with contextlib.suppress(OSError):
            connection.sendall(head)
            connection.sendall(rest)
            connection.shutdown(socket.SHUT_WR)
            assert b" 500 " not in connection.recv(200)[:20]
    assert stack.call("GET", "/me", tenant="acme").status == 200
