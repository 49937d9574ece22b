"""Issuing certificates: who a service is, for a few minutes, in the words of an authority that all services trust."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from target_stack.kit.clock import Clock

AUTHORITY_LIFETIME_S = 30 * 24 * 3600.0
_CLOCKS_MAY_DIFFER_S = 60.0
_NOT_USED_FOR = {
    "content_commitment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
    "key_encipherment": False,
}


@dataclass(frozen=True, slots=True)
class Issued:
    """One identity, as PEM: its certificate chain, its private key, and whom to trust."""

    certificate: bytes
    key: bytes
    authority: bytes


class Authority:
    """Signs with ES256; whoever trusts its certificate believes what it issues."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, clock: Clock) -> None:
        self._key = key
        self._certificate = certificate
        self._clock = clock

    @classmethod
    def fresh(cls, clock: Clock) -> "Authority":
        """Return a new authority that nobody trusts yet."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "platform authority")])
        builder = _certificate(clock, subject, subject, key.public_key(), key.public_key(), AUTHORITY_LIFETIME_S)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()), clock)

    @classmethod
    def from_pem(cls, key: bytes, certificate: bytes, clock: Clock) -> "Authority":
        """Return the authority that was written before; raise ValueError or TypeError for what is none."""
        loaded = serialization.load_pem_private_key(key, password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            msg = "the authority's key is none of an elliptic curve"
            raise TypeError(msg)
        return cls(loaded, x509.load_pem_x509_certificate(certificate), clock)

    @property
    def certificate_pem(self) -> bytes:
        """What services must trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, for a restart; it must not leave the platform's own folder."""
        return _key_pem(self._key)

    def issue(self, service: str, lifetime_s: float) -> Issued:
        """Return an identity of *service*, with a key of its own, that ends *lifetime_s* from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, service)])
        builder = _certificate(
            self._clock, subject, self._certificate.subject, key.public_key(), self._key.public_key(), lifetime_s
        )
        names = [x509.DNSName(service), x509.UniformResourceIdentifier(f"spiffe://platform/{service}")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        both_ends = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(both_ends), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        return Issued(certificate, _key_pem(key), self.certificate_pem)


def _certificate(
    clock: Clock,
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    lifetime_s: float,
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(clock.unix_ns() / 1e9, UTC)
    ends = now + timedelta(seconds=lifetime_s)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends) - timedelta(seconds=_CLOCKS_MAY_DIFFER_S))
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        **_NOT_USED_FOR,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
