"""Who may call a service at all: over real sockets, on every service, past the gateway."""

import http.client
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

TARGET = yaml.safe_load((Path(__file__).parents[3] / "target_stack" / "target.yaml").read_text())
DOORS = {
    "identity": ("GET", "/identity/users"),
    "catalog": ("GET", "/catalog/products"),
    "inventory": ("GET", "/stock/sku-1"),
    "payments": ("POST", "/payments"),
    "orders": ("GET", "/orders"),
    "notifications": ("GET", "/notifications"),
    "insights": ("GET", "/insights/summary"),
}
INNER = [name for name, service in TARGET["services"].items() if "ADMIN_PORT" in service.get("env", {})]
FRIEND = {"inventory": "orders", "payments": "orders"}
SHUT = (ssl.SSLError, ConnectionError, http.client.HTTPException)


def reply_at(stack, service, tls):
    method, path = DOORS.get(service, ("GET", "/"))
    return stack.call(method, path, at=service, tenant="acme", tls=tls)


@pytest.mark.parametrize("service", INNER)
@pytest.mark.parametrize("identity", [None, "rogue-foreign", "rogue-expired"])
def test_without_a_good_certificate_there_is_no_answer(stack, service, identity):
    with pytest.raises(SHUT):
        reply_at(stack, service, stack.tls(service, identity))


@pytest.mark.parametrize("service", INNER)
def test_plain_http_gets_no_answer(stack, service):
    with pytest.raises(SHUT):
        reply_at(stack, service, None)


@pytest.mark.parametrize("service", DOORS)
@pytest.mark.parametrize("identity", ["rogue-stranger", "operator"])
def test_a_good_certificate_of_somebody_else_is_refused(stack, service, identity):
    reply = reply_at(stack, service, stack.tls(service, identity))
    assert (reply.status, reply.json["error"]) == (403, "caller_refused")
    assert stack.metric(service, "http_server_refused_total", reason="caller_refused") >= 1


@pytest.mark.parametrize("service", DOORS)
def test_the_service_that_should_call_gets_in(stack, service):
    reply = reply_at(stack, service, stack.tls(service, FRIEND.get(service, "gateway")))
    expected = {"payments": 400, "identity": 403}  # no idempotency key; no admin
    assert reply.status == expected.get(service, 200), reply.json


@pytest.mark.parametrize("service", INNER)
def test_an_older_tls_is_refused(stack, service):
    def wrap(connection):
        context = ssl.create_default_context(cafile=stack.folder / "state/identities/gateway/ca.pem")
        version = (stack.folder / "state/identities/gateway").resolve()
        context.load_cert_chain(version / "cert.pem", version / "key.pem")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context.wrap_socket(connection, server_hostname=service)

    with pytest.raises(SHUT):
        reply_at(stack, service, wrap)


@pytest.mark.parametrize("service", INNER)
def test_the_management_port_offers_health_and_metrics_alone(stack, service):
    port = stack.management_port(service)
    route = DOORS.get(service, ("GET", "/"))[1]
    statuses = {path: _plain(port, path) for path in ("/health/live", "/health/ready", "/metrics", route)}
    assert statuses == {"/health/live": 200, "/health/ready": 200, "/metrics": 200, route: 404}


def _plain(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_caller_notices_that_the_callee_is_another_service(stack):
    with socket.create_connection(("127.0.0.1", stack.ports["catalog"])) as connection:
        wrap = stack.tls("orders", "gateway")
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            wrap(connection)


def test_certificates_are_renewed_under_load_and_no_request_fails(stack):
    """Every call opens both pooled connections and, over a second session, new ones."""
    for tenant in ("acme", "globex"):
        stack.token(tenant)
    stopped, statuses, seen = threading.Event(), [], set()

    def client(tenant):
        while not stopped.is_set():
            statuses.append(stack.call("GET", "/catalog/products/sku-1", tenant=tenant).status)
            statuses.append(reply_at(stack, "catalog", stack.tls("catalog", "gateway")).status)
            time.sleep(0.01)

    with ThreadPoolExecutor(3) as pool:
        clients = [pool.submit(client, tenant) for tenant in ("acme", "globex", "acme")]
        give_up = time.monotonic() + 60
        while len(seen) < 4 and time.monotonic() < give_up and not any(each.done() for each in clients):
            seen.add(_certificate_of(stack, "catalog"))
            time.sleep(0.2)
        stopped.set()
        for each in clients:
            each.result()
    assert len(seen) == 4
    assert set(statuses) == {200}
    assert len(statuses) > 100


def _certificate_of(stack, service):
    wrap, connection = stack.tls(service, "gateway"), socket.create_connection(("127.0.0.1", stack.ports[service]))
    with connection, wrap(connection) as tls:
        return tls.getpeercert(binary_form=True)


def test_a_connection_ends_with_the_certificate_that_opened_it(stack, until):
    """One kept open by its client must not outlive what was proved when it was opened."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.ports["catalog"], timeout=20)
    raw = socket.create_connection(("127.0.0.1", stack.ports["catalog"]), timeout=20)
    connection.sock = stack.tls("catalog", "gateway")(raw)
    headers = {"Authorization": f"Bearer {stack.token('acme')}"}

    def ends():
        connection.request("GET", "/catalog/products/sku-1", headers=headers)
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        time.sleep(0.1)
        return response.getheader("Connection") == "close"

    until(ends, "the service ends the connection")
    connection.close()


def test_without_mutual_tls_a_rogue_gets_in(stack, without):
    without("catalog", "mtls")
    for identity in (None, "rogue-stranger"):
        assert reply_at(stack, "catalog", stack.tls("catalog", identity)).status == 200


def test_without_caller_authorisation_any_service_gets_in(stack, without):
    without("catalog", "caller_authorisation")
    assert reply_at(stack, "catalog", stack.tls("catalog", "rogue-stranger")).status == 200
    with pytest.raises(SHUT):
        reply_at(stack, "catalog", stack.tls("catalog", None))
