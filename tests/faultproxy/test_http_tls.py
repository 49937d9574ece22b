"""Rules under mutual TLS: the proxy ends it with the callee's identity and begins it again with the caller's."""

import datetime
import ipaddress
import os
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.faultproxy.conftest import HANG_S
from tests.faultproxy.test_http_rules import reply, request

pytestmark = pytest.mark.embedded


class Authority:
    """Makes identities that trust each other."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _signed("authority", self._key, self._key, is_authority=True)

    def identity(self, folder, name):
        """Write cert.pem, key.pem and ca.pem."""
        folder.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(name, key, self._key, issuer=self.certificate.subject)
        pem = serialization.Encoding.PEM
        plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / "key.pem").write_bytes(plain)
        (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(pem))
        return folder


def _signed(name, key, by, *, issuer=None, is_authority=False):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    return builder.sign(by, hashes.SHA256())


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def folders(tmp_path, authority):
    return {name: authority.identity(tmp_path / name, name) for name in ("orders", "payments", "catalog")}


class Sealed:
    """A link orders -> payments whose ends speak TLS, seen into by the proxy."""

    def __init__(self, link, folders):
        self.link, self.folders = link, folders
        self.api = link.api
        self.describe({end: str(folders[name]) for end, name in (("caller", "orders"), ("callee", "payments"))})

    def describe(self, identities):
        about = {
            "protocol": "https",
            "caller": "orders",
            "callee": "payments",
            "identities": identities,
            "tenant": {"header": "X-Tenant-Id"},
        }
        self.told = self.api.call("PUT", f"/harness/links/{self.link.name}", about).json

    def rule(self, kind, scope=None, **more):
        body = {"name": "r", "proxy": self.link.name, "scope": scope or {}, "action": {"type": kind, **more}}
        return self.api.post("/harness/rules", body)

    def callee(self):
        """Accept one caller and shake hands, beside the test."""

        def serve():
            raw = self.link.listener.accept()[0]
            raw.settimeout(HANG_S)
            return server_context(self.folders["payments"]).wrap_socket(raw, server_side=True)

        return Later(serve)

    def caller(self, context=None):
        host, _, port = self.link.listen.rpartition(":")
        raw = socket.create_connection((host, int(port)), HANG_S)
        context = context or client_context(self.folders["orders"])
        return context.wrap_socket(raw, server_hostname="payments")

    def open(self):
        callee = self.callee()
        caller = self.caller()
        return caller, callee.result()


class Later:
    def __init__(self, work):
        self._pool = ThreadPoolExecutor(1)
        self.result = self._pool.submit(work).result
        self._pool.shutdown(wait=False)


def server_context(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / "ca.pem")
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def client_context(folder, *, shows=True, trusts=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations((trusts or folder) / "ca.pem")
    if shows:
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.fixture
def sealed(link, folders):
    return Sealed(link, folders)


def read(side, size):
    data = b""
    while len(data) < size and (more := side.recv(size - len(data))):
        data += more
    return data


def passes(caller, callee, sent):
    caller.sendall(sent)
    assert read(callee, len(sent)) == sent
    callee.sendall(reply())
    return read(caller, len(reply())) == reply()


def test_a_rule_is_felt_by_a_connection_that_is_open_and_spares_others(sealed):
    assert sealed.told == {"sees_http": True, "protocol": "https"}
    caller, callee = sealed.open()
    with caller, callee:
        assert passes(caller, callee, request(X_Tenant_Id="acme"))
        assert sealed.rule("answer", {"tenant": "acme"}, status=503).status == 201
        assert passes(caller, callee, request(X_Tenant_Id="globex"))
        caller.sendall(request(X_Tenant_Id="acme"))
        assert read(caller, 12) == b"HTTP/1.1 503"
    assert sealed.api.get("/harness/felt").json["link"]["r"]["tenants"] == {"acme": 1}


def test_the_callee_sees_the_caller_and_the_caller_the_callee(sealed):
    caller, callee = sealed.open()
    with caller, callee:
        assert ("DNS", "orders") in callee.getpeercert()["subjectAltName"]
        assert ("DNS", "payments") in caller.getpeercert()["subjectAltName"]


@pytest.mark.parametrize("who", ["nobody", "foreign", "catalog"])
def test_a_caller_without_the_links_identity_gets_nothing_through(sealed, folders, tmp_path, who):
    if who == "foreign":
        folder = Authority().identity(tmp_path / "foreign", "orders")
    else:
        folder = folders["orders" if who == "nobody" else who]
    context = client_context(folder, shows=who != "nobody", trusts=folders["orders"])
    heard = sealed.callee()
    with pytest.raises((ssl.SSLError, ConnectionError)), sealed.caller(context) as caller:  # noqa: PT012
        caller.sendall(request())
        if caller.recv(100) == b"":
            raise ConnectionResetError
    with pytest.raises((ssl.SSLError, OSError)), heard.result() as callee:  # noqa: PT012
        assert callee.recv(100) == b""
        raise ConnectionResetError
    told = sealed.api.get("/harness/links").json["link"]
    assert (told["tls_failures"] >= 1, "caller" in told["last_tls_failure"]) == (True, True)


def test_large_bodies_pass_both_ways_to_the_byte(sealed):
    caller, callee = sealed.open()
    up, down = os.urandom(3_000_000), os.urandom(3_000_000)
    with caller, callee:
        whole, answer = request(method="POST", body=up), reply(down)
        sender = threading.Thread(target=caller.sendall, args=(whole,))
        sender.start()
        assert read(callee, len(whole)) == whole
        sender.join()
        sender = threading.Thread(target=callee.sendall, args=(answer,))
        sender.start()
        assert read(caller, len(answer)) == answer
        sender.join()


def test_a_farewell_is_passed_on(sealed):
    caller, callee = sealed.open()
    with caller, callee:
        assert passes(caller, callee, request())
        callee.settimeout(HANG_S)
        Later(caller.unwrap)
        assert callee.recv(10) == b""


def test_a_callee_that_closes_is_felt_by_its_caller(sealed):
    caller, callee = sealed.open()
    with caller:
        assert passes(caller, callee, request())
        callee.close()
        assert caller.recv(10) == b""


def test_without_identities_the_link_stays_tcp_and_says_so(sealed, folders, tmp_path):
    sealed.describe({"caller": str(tmp_path / "nowhere"), "callee": str(folders["payments"])})
    assert (sealed.told["sees_http"], "nowhere" in sealed.told["why"]) == (False, True)
    refused = sealed.rule("hang")
    assert (refused.status, "no identity" in refused.json["error"]) == (409, True)
    caller, callee = sealed.open()  # end to end, past a proxy that sees nothing
    with caller, callee:
        assert passes(caller, callee, request())


def test_an_identity_that_cannot_be_read_is_a_cause_and_no_crash(sealed, folders):
    (folders["payments"] / "cert.pem").write_text("no certificate")
    told = sealed.api.get("/harness/links").json["link"]
    assert (told["sees_http"], "cannot be read" in told["why"]) == (False, True)


def test_a_renewed_identity_counts_for_new_connections(link, authority, folders, tmp_path):
    current = tmp_path / "current"
    current.symlink_to(folders["payments"])
    sealed = Sealed(link, {**folders, "payments": current})
    caller, callee = sealed.open()
    before = caller.getpeercert()["serialNumber"]
    newer = authority.identity(tmp_path / "payments-2", "payments")
    aside = tmp_path / "aside"
    aside.symlink_to(newer)
    aside.replace(current)
    later, its_callee = sealed.open()
    with caller, callee, later, its_callee:
        assert later.getpeercert()["serialNumber"] != before
        assert passes(caller, callee, request())
        assert passes(later, its_callee, request())
