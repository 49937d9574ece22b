"""A link that is seen into, with an HTTP callee that tells what it was asked."""

import gzip
import http.client
import json
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.faultproxy.conftest import HANG_S, Wire


class Callee(ThreadingHTTPServer):
    """Answers by path: /json, /gzip, /chunked, /big, /stream (until released), all else says its own path."""

    request_queue_size = 512
    daemon_threads = True

    def __init__(self, bodies):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.address = f"127.0.0.1:{self.server_port}"
        self.bodies = bodies
        self.asked = []  # (method, path, body) of every request that arrived
        self.peers = []  # the names in the certificates of those who asked
        self.connections = 0
        self.context = None  # speaks TLS when set
        self.release = threading.Event()

    def get_request(self):
        raw, address = super().get_request()
        if self.context is not None:  # the handshake happens in the connection's own thread
            raw = self.context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        return raw, address

    def handle_error(self, request, client_address):
        """A connection that was reset is what these tests are about."""

    def paths(self):
        return [path for _, path, _ in self.asked]


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self):
        super().setup()
        self.server.connections += 1

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, body))
        self.server.peers.append(names_in(self.connection))
        if self.path == "/echo":
            self.server.bodies["/echo"] = ({}, body)
        about, answer = self.server.bodies.get(self.path.partition("?")[0], ({}, self.path.encode()))
        self.send_response(200)
        for name, value in about.items():
            self.send_header(name, value)
        if about.get("Transfer-Encoding") == "chunked":
            self._send_chunks(answer)
        else:
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815

    def _send_chunks(self, answer):
        self.end_headers()
        for at in range(0, len(answer), 7):
            part = answer[at : at + 7]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        if self.path == "/stream":
            self.wfile.flush()
            self.server.release.wait(HANG_S)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


def names_in(connection):
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    return [name for kind, name in (certificate or {}).get("subjectAltName", ()) if kind == "DNS"]


class HttpLink:
    """A proxy in front of an HTTP callee, described as HTTP whose tenant is in a header or a token."""

    def __init__(self, api, callee, stack, *, name="payments", seen=True, upstream=None):
        self.api, self.callee, self.name = api, callee, name
        self._stack = stack
        made = api.post("/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream or callee.address})
        assert made.status == 201, made
        self.listen = made.json["listen"]
        if seen:
            self.describe({"protocol": "http", "tenant": {"header": "x-tenant-id", "claim": "tenant"}})

    def describe(self, about):
        reply = self.api.call("PUT", f"/harness/links/{self.name}", about)
        assert reply.status == 200, reply
        return reply.json

    def rule(self, kind, *, name="rule", scope=None, **action):
        """Make a rule and return its path."""
        body = {"name": name, "proxy": self.name, "scope": scope or {}, "action": {"type": kind, **action}}
        made = self.api.post("/harness/rules", body)
        assert made.status == 201, made
        return f"/harness/rules/{name}"

    def observed(self, name="rule"):
        return self.api.get("/harness/observed").json[self.name][name]

    def touched(self, name="rule"):
        return self.observed(name)["requests"]

    def caller(self):
        """A connection of its own for requests in a row."""
        caller = Caller(self.listen)
        self._stack.callback(caller.close)
        return caller

    def dial(self):
        host, _, port = self.listen.rpartition(":")
        raw = self._stack.enter_context(socket.create_connection((host, int(port)), HANG_S))
        return Wire(raw)

    def open_connections(self):
        return self.api.get("/harness/links").json[self.name]["open_connections"]


class Caller(http.client.HTTPConnection):
    """Returns body or what went wrong."""

    auto_open = 0

    def __init__(self, address):
        super().__init__(address, timeout=HANG_S)
        self.connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_request(self, path, method="GET", body=None, **headers):
        self.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def ask(self, path, method="GET", body=None, **headers):
        """Return the body; "RST" or "FIN" where the connection ended without a reply."""
        try:
            self.send_request(path, method, body, **headers)
        except (ConnectionResetError, BrokenPipeError):  # between head and body
            return "RST"
        return self.hear()

    def hear(self):
        try:
            with self.getresponse() as reply:
                self.status, self.headers = reply.status, reply.headers
                return reply.read()
        except http.client.RemoteDisconnected:
            return "FIN"
        except ConnectionResetError:
            return "RST"


def eventually(question):
    deadline = time.monotonic() + HANG_S
    while not question():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


DOCUMENT = {"id": 7, "customer": {"name": "Ann", "vip": None}, "items": [{"price": 1}, {"price": 2}]}


def bodies():
    document = json.dumps(DOCUMENT).encode()
    as_json = {"Content-Type": "application/json"}
    chunked = {"Transfer-Encoding": "chunked"}
    return {
        "/json": (as_json, document),
        "/chunked": (as_json | chunked, document),
        "/gzip": (as_json | {"Content-Encoding": "gzip"}, gzip.compress(document)),
        "/gzip-chunked": (as_json | chunked | {"Content-Encoding": "gzip"}, gzip.compress(document)),
        "/br": (as_json | {"Content-Encoding": "br"}, document),
        "/big": ({}, bytes(range(256)) * 20_000),
        "/stream": (chunked, b"the first part"),
        "/broken-json": (as_json, b'{"id": '),
        "/html": ({"Content-Type": "text/html"}, b"<p>"),
    }


@pytest.fixture
def callee():
    server = Callee(bodies())
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    serving.start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def make_http_link(api, callee):
    with ExitStack() as stack:
        yield lambda server=api, **about: HttpLink(server, callee, stack, **about)


@pytest.fixture
def http_link(make_http_link):
    return make_http_link()
