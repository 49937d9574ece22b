"""Requests straight at a service: with its own identity, with none, and in plain text."""

import datetime
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.load.answer import Answer, judge
from harness.load.direct import DirectDoors
from harness.load.player import Door, Request
from harness.model.files.target import Step

GET = Request("GET", "/who", {"X-Asked": "yes"}, None, 5.0)
SHUT = {"tls", "connection reset", "connection closed"}


def write_identity(folder, name, signer=None):
    """Write a certificate of *name*, by itself or by *signer*; return its key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[1].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(minutes=10))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((signer[0] if signer else key).public_key()),
            critical=False,
        )
    )
    certificate = builder.sign(signer[0] if signer else key, hashes.SHA256())
    folder.mkdir(parents=True)
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "ca.pem").write_bytes((signer[1] if signer else certificate).public_bytes(pem))
    return key, certificate


class Who(BaseHTTPRequestHandler):
    """Says who called."""

    def do_GET(self):
        peer = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        name = peer["subject"][0][0][1] if peer else "nobody"
        body = f"{name} {self.headers['X-Asked']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def doors(tmp_path):
    """Return doors to a service that asks everybody for a certificate."""
    authority = write_identity(tmp_path / "authority", "authority")
    for name in ("payments", "orders"):
        write_identity(tmp_path / name, name, authority)
    write_identity(tmp_path / "stranger", "stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "payments" / "cert.pem", tmp_path / "payments" / "key.pem")
    context.load_verify_locations(tmp_path / "payments" / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    class Server(ThreadingHTTPServer):
        def finish_request(self, request, address):
            with context.wrap_socket(request, server_side=True) as encrypted:
                super().finish_request(encrypted, address)

        def handle_error(self, *_):
            """Refused clients are expected."""

    server = Server(("127.0.0.1", 0), Who)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield DirectDoors({"payments": f"https://127.0.0.1:{server.server_port}"}, str(tmp_path / "{service}"))
    server.shutdown()
    server.server_close()


def test_the_caller_is_who_the_door_says(doors):
    assert doors.send(GET, Door("payments", "orders")) == Answer(200, b"orders yes")


@pytest.mark.parametrize("door", [Door("payments"), Door("payments", "stranger"), Door("payments", is_plain=True)])
def test_who_is_not_let_in_gets_a_refusal_that_a_step_can_expect(doors, door):
    answer = doors.send(GET, door)
    assert answer.status == 0
    assert answer.error in SHUT
    refused = Step(name="try", path="/who", service="payments", expect="refused")
    assert judge(answer, refused, tenant="acme").outcome.value == "ok"
    assert judge(answer, refused.model_copy(update={"expect": 403}), tenant="acme").outcome.value == "unknown"


def test_being_let_in_is_no_refusal(doors):
    refused = Step(name="try", path="/who", service="payments", expect="refused")
    assert judge(doors.send(GET, Door("payments", "orders")), refused, tenant="acme").outcome.value == "failed"


def test_nobody_there(tmp_path):
    doors = DirectDoors({"orders": "http://127.0.0.1:9"})
    assert doors.send(GET, Door("orders")) == Answer(error="connection refused")
