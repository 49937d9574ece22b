"""Certificates of services, as the sample stack's authority makes them."""

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


class Authority:
    """Signs for whoever asks."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _build("platform authority", self._key, "platform authority", self._key, is_authority=True)

    def write(self, folder, service, *, password=None):
        """Write an identity of *service* into a new *folder* and return that."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _build(service, key, "platform authority", self._key, is_authority=False)
        sealing = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        folder.mkdir(parents=True)
        (folder / "cert.pem").write_bytes(certificate.public_bytes(PEM))
        (folder / "key.pem").write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, sealing))
        (folder / "ca.pem").write_bytes(self._certificate.public_bytes(PEM))
        return folder


def _build(name, key, issuer, issuer_key, *, is_authority):
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(minutes=10))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        names = [x509.DNSName(name), x509.UniformResourceIdentifier(f"spiffe://platform/{name}")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def server_context(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _load(context, folder)


def client_context(folder, *, trusts=None):
    """A caller with the identity in *folder*; without one it only trusts what is in *trusts*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _load(context, folder, trusts=trusts)


def _load(context, folder, *, trusts=None):
    context.load_verify_locations(Path(trusts or folder) / "ca.pem")
    if folder is not None:
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
