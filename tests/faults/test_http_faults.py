"""Faults on single requests, against the real proxy: the rule is made, observed by open connections, and goes."""

import asyncio
import http.client
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from harness.faults.kinds.catalogue import CATALOGUE
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.files.faults import HTTP_KINDS, Fault
from harness.model.run.clock import SteadyClock
from tests.faults.conftest import RealProxy
from tests.faults.support import HANG_GUARD_S, LINK, Heard, make

SCOPE = {"method": "GET", "route": "/pay/*", "header": {"x-plan": "gold"}}


@pytest.fixture
def safety(tmp_path):
    """A journal without a reaper: these tests undo what they do."""
    safety = Safety(tmp_path, run_id=f"run-{os.getpid()}", lease_s=60, emit=Heard().append, clock=SteadyClock())
    safety._start()
    yield safety
    asyncio.run(safety.dismiss())


class Callee(BaseHTTPRequestHandler):
    """Answers every GET with a little JSON."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        body = b'{"paid": true}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Callee)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    class At:
        address = f"127.0.0.1:{server.server_port}"

    real = RealProxy(At())
    real.look_into()
    yield real
    real.stop()
    server.shutdown()
    server.server_close()


@pytest.fixture
def inject(proxy, safety):
    return lambda **raw: make(Fault.model_validate({"link": LINK, **raw}), api=proxy.api, safety=safety)


@pytest.fixture
def caller(proxy):
    """A connection that is open before any rule is there."""
    connection = http.client.HTTPConnection(proxy.listen, timeout=HANG_GUARD_S)
    assert ask(connection) == 200
    yield connection
    connection.close()


def ask(connection, plan="gold"):
    connection.request("GET", "/pay/1", headers={"x-plan": plan})
    with connection.getresponse() as reply:
        reply.read()
        return reply.status


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_every_kind_is_placed_as_its_example_says_and_removed(kind, inject, proxy):
    example = yaml.safe_load("{" + CATALOGUE[kind].example + "}")
    injector = inject(**{**example, "link": LINK})
    injector.apply()
    assert injector.confirm()
    called = {"respond": "answer", "black_hole": "hang"}.get(kind, kind)  # by the proxy
    assert [rule["action"]["type"] for rule in proxy.calls.rules()] == [called]
    assert injector.undo() == ""
    assert (proxy.calls.rules(), injector.confirm()) == ([], False)


def test_an_open_connection_feels_it_where_the_scope_fits_and_no_more_when_it_is_gone(inject, caller):
    injector = inject(respond={"status": 503}, scope=SCOPE)
    injector.apply()
    assert [ask(caller), ask(caller, "silver"), ask(caller)] == [503, 200, 503]
    observed = injector.observed()
    assert (observed.requests, observed.connections, observed.first_observed_ns is not None) == (2, 1, True)
    assert injector.undo() == ""
    assert ask(caller) == 200
    assert injector.observed() == observed  # the last count outlives the fault


def test_it_knows_whose_requests_it_hit(inject, caller):
    injector = inject(respond={"status": 503})
    injector.apply()
    for tenant in ("acme", "acme", "globex"):
        caller.request("GET", "/pay/1", headers={"x-tenant-id": tenant})
        caller.getresponse().read()
    assert injector.observed().tenants == (("acme", 2), ("globex", 1))
    assert (injector.observed() + injector.observed()).counts()["tenants"] == "4 of acme, 2 of globex"
    injector.undo()


def test_a_latency_with_a_scope_delays_single_requests_and_grows_over_its_ramp(inject, proxy):
    inject(latency="300ms", scope={"tenant": "acme"}, ramp="2s").apply()
    (rule,) = proxy.calls.rules()
    assert rule["scope"] == {"tenant": "acme"}
    about = {"type": "delay", "latency_s": 0.3, "jitter_s": 0.0, "distribution": "fixed", "ramp_s": 2.0}
    assert rule["action"] == about


def test_a_link_that_cannot_be_seen_into_takes_no_such_fault(inject, proxy):
    proxy.calls._call("PUT", f"/harness/links/{LINK.replace(' ', '%20')}", {"protocol": "tcp"})
    with pytest.raises(HarnessError, match="cannot see single requests"):
        inject(black_hole=True).apply()
    assert proxy.calls.rules() == []


def test_a_rule_that_somebody_else_removed_is_known(inject, proxy):
    injector = inject(black_hole=True)
    injector.apply()
    assert injector.lifted_by() == ""
    proxy.calls.remove_rule("fault-1")
    assert injector.lifted_by() != ""
    assert injector.undo() == ""
