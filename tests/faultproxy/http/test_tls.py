"""Rules on a link whose ends authenticate each other: the proxy stands in for both, and lends itself to nobody else."""

import hashlib
import http.client
import json
import random
import socket
import ssl
import threading
from contextlib import ExitStack, suppress

import pytest

from tests.faultproxy.conftest import HANG_S, Wire
from tests.faultproxy.http.conftest import DOCUMENT, Caller, eventually
from tests.faultproxy.http.identities import Authority, client_context, server_context

pytestmark = pytest.mark.embedded
LARGE = random.Random(7).randbytes(5_000_000)


@pytest.fixture(scope="session")
def authority():
    return Authority()


@pytest.fixture
def folders(authority, tmp_path):
    """Identities of caller and callee behind links, as the harness keeps them."""
    for service in ("orders", "payments"):
        (tmp_path / service).symlink_to(authority.write(tmp_path / "1" / service, service))
    return tmp_path


def about(folders, **parts):
    identities = {"caller": str(folders / "orders"), "callee": str(folders / "payments")}
    return {"protocol": "https", "caller": "orders", "callee": "payments", "identities": identities, **parts}


@pytest.fixture
def sealed(make_http_link, callee, folders):
    """A link that speaks TLS at both ends and is seen into."""
    callee.context = server_context(folders / "payments")
    link = make_http_link(seen=False)
    assert link.describe(about(folders)) == {"sees_http": True, "protocol": "https"}
    return link


@pytest.fixture
def dial(folders):
    """Open a TLS connection through a link: `dial(link)`, with another identity if need be."""
    with ExitStack() as stack:

        def dial(link, context=None, **how):
            host, _, port = link.listen.rpartition(":")
            raw = stack.enter_context(socket.create_connection((host, int(port)), HANG_S))
            context = context or client_context(folders / "orders")
            tls = context.wrap_socket(raw, server_hostname="payments", suppress_ragged_eofs=False, **how)
            return stack.enter_context(tls)

        yield dial


@pytest.fixture
def call(dial):
    """Open a connection for requests in a row."""

    def call(link, context=None):
        caller = Caller.__new__(Caller)
        http.client.HTTPConnection.__init__(caller, link.listen, timeout=HANG_S)
        caller.sock = dial(link, context)
        return caller

    return call


# -- rules -------------------------------------------------------------------------------------------------------------


def test_the_callee_sees_the_callers_certificate_and_the_caller_the_callees(sealed, call, callee):
    caller = call(sealed)
    assert caller.ask("/a", "POST", b"body") == b"/a"
    assert (callee.asked, callee.peers) == ([("POST", "/a", b"body")], [["orders"]])
    assert ("DNS", "payments") in caller.sock.getpeercert()["subjectAltName"]


def test_rules_work_on_open_connections(sealed, call, callee):
    caller = call(sealed)
    assert json.loads(caller.ask("/json")) == DOCUMENT
    sealed.rule("null_field", path="id", scope={"route": "/json"})
    sealed.rule("answer", name="no", status=503, scope={"route": "/no"})
    assert json.loads(caller.ask("/json")) == DOCUMENT | {"id": None}
    assert (caller.ask("/no"), caller.status) == (b"", 503)
    assert caller.ask("/yes") == b"/yes"
    assert callee.paths() == ["/json", "/json", "/yes"]
    assert [sealed.touched(name) for name in ("rule", "no")] == [1, 1]


@pytest.mark.parametrize(("kind", "seen"), [("reset_request", []), ("lose_reply", ["/pay"])])
def test_connections_are_reset_before_or_after_the_callee_ran(sealed, dial, callee, kind, seen):
    sealed.rule(kind)
    tls = dial(sealed)
    tls.sendall(b"POST /pay HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody")
    assert Wire(socket.socket(fileno=tls.detach())).ending() == "RST"  # TLS would not say how TCP ended
    assert (callee.paths(), sealed.touched()) == (seen, 1)


def test_a_body_is_cut_and_the_end_said_properly(sealed, dial):
    sealed.rule("truncate", bytes=4)
    tls = dial(sealed)
    tls.sendall(b"GET /abcdef HTTP/1.1\r\n\r\n")
    assert read_all(tls).endswith(b"\r\n\r\n/abc")


def test_a_hang_is_freed(sealed, call, callee):
    path = sealed.rule("hang")
    caller = call(sealed)
    caller.send_request("/a", "POST", b"x" * 300_000)
    eventually(lambda: sealed.touched() == 1)
    sealed.api.delete(path)
    assert caller.hear() == b"/a"
    assert callee.asked == [("POST", "/a", b"x" * 300_000)]


def read_all(tls):
    """Read to the end, which must be said with a farewell."""
    data = b""
    with suppress(ssl.SSLZeroReturnError):  # raised in place of b"" by who said farewell first
        while more := tls.recv(65536):
            data += more
    return data


# -- who is admitted ---------------------------------------------------------------------------------------------------


@pytest.fixture
def strangers(authority, folders):
    return {
        "nobody": client_context(None, trusts=folders / "orders"),
        "a foreigner": client_context(Authority().write(folders / "foreign", "orders"), trusts=folders / "orders"),
        "another service": client_context(authority.write(folders / "billing", "billing")),
    }


@pytest.mark.parametrize("who", ["nobody", "a foreigner", "another service"])
def test_strangers_are_refused_and_nothing_reaches_the_callee(sealed, call, callee, strangers, who):
    with suppress(ssl.SSLError, OSError):  # in TLS 1.3 a caller learns it at its first read
        caller = call(sealed, strangers[who])
        assert caller.ask("/a") in ("FIN", "RST")
    eventually(lambda: sealed.open_connections() == 0)
    shown = sealed.api.get("/harness/links").json["payments"]
    assert shown["tls_failures"] >= 1
    assert "with the caller" in shown["last_tls_failure"]
    assert callee.asked == []
    assert call(sealed).ask("/b") == b"/b"


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"", b"\x16\x03\x01\x02\x00\x01"])
def test_who_speaks_no_tls_is_shown_out(sealed, call, callee, said):
    wire = sealed.dial()
    wire.send(said)
    wire.half_close()
    wire.ending()
    eventually(lambda: sealed.api.get("/harness/links").json["payments"].get("tls_failures"))
    assert callee.asked == []
    assert call(sealed).ask("/b") == b"/b"


def test_who_says_nothing_stops_nobody(sealed, call):
    silent = sealed.dial()
    assert call(sealed).ask("/b") == b"/b"
    assert silent.is_silent()


def test_a_callee_that_is_somebody_else_hears_nothing(sealed, call, callee, authority, folders):
    callee.context = server_context(authority.write(folders / "billing", "billing"))
    with suppress(ssl.SSLError, OSError):
        assert call(sealed).ask("/a") in ("FIN", "RST")
    eventually(
        lambda: "with the callee" in sealed.api.get("/harness/links").json["payments"].get("last_tls_failure", "")
    )
    assert callee.asked == []


# -- identities --------------------------------------------------------------------------------------------------------


def test_without_identities_the_link_stays_tcp_and_says_so(make_http_link, callee, folders, call):
    callee.context = server_context(folders / "payments")
    link = make_http_link(seen=False)
    elsewhere = {"caller": str(folders / "not-yet"), "callee": str(folders / "payments")}
    shown = link.describe(about(folders, identities=elsewhere))
    why = f"there is no identity at {folders / 'not-yet'}"
    assert shown == {"sees_http": False, "why": why, "protocol": "https"}
    assert call(link).ask("/a") == b"/a"
    body = {"name": "rule", "proxy": "payments", "action": {"type": "answer", "status": 503}}
    refused = link.api.post("/harness/rules", body)
    assert (refused.status, why in refused.json["error"]) == (409, True)
    (folders / "not-yet").symlink_to(folders / "orders")
    assert link.api.post("/harness/rules", body).status == 201
    caller = call(link)
    assert (caller.ask("/b"), caller.status, callee.paths()) == (b"", 503, ["/a"])


@pytest.mark.parametrize("lost", ["cert.pem", "key.pem", "ca.pem"])
def test_an_identity_without_one_of_its_files_is_none(make_http_link, folders, lost):
    (folders / "orders" / lost).unlink()
    why = make_http_link(seen=False).describe(about(folders))["why"]
    assert f"{folders / '1' / 'orders'}" in why
    assert "No such file" in why


def test_a_key_with_a_password_is_none_and_nobody_is_asked_for_it(make_http_link, folders, authority):
    secret = authority.write(folders / "secret", "orders", password=b"secret")
    identities = {"caller": str(secret), "callee": str(folders / "payments")}
    shown = make_http_link(seen=False).describe(about(folders, identities=identities))
    assert shown["why"].startswith(f"the identity at {secret} cannot be read")


def test_folders_that_lead_round_in_a_circle_are_none(make_http_link, folders):
    (folders / "round").symlink_to(folders / "round")
    identities = {"caller": str(folders / "round"), "callee": str(folders / "payments")}
    shown = make_http_link(seen=False).describe(about(folders, identities=identities))
    assert shown["why"] == f"there is no identity at {folders / 'round'}"


def test_rotated_identities_count_for_new_connections(sealed, call, callee, folders, authority):
    def serial(caller):
        return caller.sock.getpeercert()["serialNumber"]

    early, also_early = call(sealed), call(sealed)
    for service in ("orders", "payments"):
        successor = folders / f"next-{service}"
        successor.symlink_to(authority.write(folders / "2" / service, service))
        successor.rename(folders / service)
    callee.context = server_context(folders / "payments")
    late = call(sealed)
    assert serial(early) == serial(also_early) != serial(late)
    assert [caller.ask("/a") for caller in (early, also_early, late)] == [b"/a"] * 3


# -- bytes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [None, {"kind": "delay", "latency_s": 0.001}, {"kind": "slow_body", "rate": 10**9}])
def test_large_bodies_are_exact_both_ways(sealed, call, rule):
    if rule:
        sealed.rule(**rule)
    caller = call(sealed)
    for size in (5_000_000, 16_384, 16_385):
        assert caller.ask("/echo", "POST", LARGE[:size]) == LARGE[:size]


@pytest.fixture
def stream(make_http_link, folders):
    """A link to a callee that speaks no HTTP: it runs what the test says with the TLS connection, in a thread."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        def serve(talk):
            def run():
                raw, _ = listener.accept()
                context = server_context(folders / "payments")
                with context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False) as tls:
                    tls.settimeout(HANG_S)
                    heard.append(talk(tls))

            heard = []
            serving = threading.Thread(target=run, daemon=True)
            serving.start()
            link = make_http_link(seen=False, upstream=address)
            link.describe(about(folders))
            return link, lambda: (serving.join(HANG_S), heard)[1]

        yield serve


def say_farewell(tls):
    """Say that nothing more comes, and go on to listen."""
    tls.setblocking(False)
    with suppress(ssl.SSLWantReadError):
        tls.unwrap()
    tls.settimeout(HANG_S)


def test_a_half_closed_direction_lives_on_the_other_way(stream, dial):
    def talk(tls):
        data = read_all(tls)
        tls.sendall(hashlib.sha256(data).hexdigest().encode() + LARGE[:1_000_000])
        say_farewell(tls)
        return len(data)

    link, heard = stream(talk)
    tls = dial(link)
    tls.sendall(LARGE)
    say_farewell(tls)
    data = read_all(tls)
    assert data == hashlib.sha256(LARGE).hexdigest().encode() + LARGE[:1_000_000]
    assert heard() == [len(LARGE)]


def test_a_callee_that_closes_first_is_heard_to_the_end(stream, dial):
    def talk(tls):
        tls.sendall(LARGE[:300_000])
        say_farewell(tls)
        return read_all(tls)

    link, heard = stream(talk)
    tls = dial(link)
    assert read_all(tls) == LARGE[:300_000]
    tls.sendall(b"still here")
    say_farewell(tls)
    assert heard() == [b"still here"]


def leave(tls):
    """End TCP without a farewell."""
    socket.socket.shutdown(tls, socket.SHUT_WR)


def is_cut_short(tls):
    with pytest.raises(ssl.SSLEOFError):
        read_all(tls)
    return True


def test_a_caller_that_leaves_without_a_farewell_is_not_given_one(stream, dial):
    link, heard = stream(lambda tls: (tls.recv(65536), is_cut_short(tls)))
    tls = dial(link)
    tls.sendall(b"abrupt")
    leave(tls)
    assert heard() == [(b"abrupt", True)]


def test_a_callee_that_leaves_without_a_farewell_is_not_given_one(stream, dial):
    link, heard = stream(lambda tls: (tls.sendall(b"abrupt"), leave(tls), is_cut_short(tls)))
    tls = dial(link)
    assert (tls.recv(65536), is_cut_short(tls)) == (b"abrupt", True)
    leave(tls)
    assert heard() == [(None, None, True)]
