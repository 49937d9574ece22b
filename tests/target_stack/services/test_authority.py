"""Certificates and the folder in which they lie; no process needed."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID

from target_stack.kit.identity import Identity
from target_stack.services.authority.domain import Authority
from target_stack.services.authority.rogues import rogue_identities
from target_stack.services.authority.store import IdentityFolder, open_authority


class FixedClock:
    """Noon of a day."""

    def unix_ns(self) -> int:
        return 1_800_000_000 * 10**9

    def monotonic_s(self) -> float:
        return 0.0


NOW = datetime.fromtimestamp(1_800_000_000, UTC)
CLOCK = FixedClock()


@pytest.fixture
def authority():
    return Authority.fresh(CLOCK)


def test_an_identity_names_its_service_and_ends_soon(authority):
    certificate = x509.load_pem_x509_certificate(authority.issue("orders", 600).certificate)
    names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert names.get_values_for_type(x509.DNSName) == ["orders"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://platform/orders"]
    assert certificate.not_valid_after_utc == NOW + timedelta(seconds=600)
    assert certificate.not_valid_before_utc == NOW - timedelta(seconds=60)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    certificate.verify_directly_issued_by(issuer)


def test_every_renewal_has_a_key_of_its_own(authority):
    assert len({authority.issue("orders", 600).key for _ in range(3)}) == 3


def test_rogues_are_foreign_expired_or_nobody(authority):
    rogues = dict(rogue_identities(authority, CLOCK))
    certificates = {name: x509.load_pem_x509_certificate(each.certificate) for name, each in rogues.items()}
    ours = x509.load_pem_x509_certificate(authority.certificate_pem)
    assert set(rogues) == {"rogue-foreign", "rogue-expired", "rogue-stranger"}
    with pytest.raises(InvalidSignature):
        certificates["rogue-foreign"].verify_directly_issued_by(ours)
    assert certificates["rogue-expired"].not_valid_after_utc < NOW < certificates["rogue-stranger"].not_valid_after_utc
    for name in ("rogue-expired", "rogue-stranger"):
        certificates[name].verify_directly_issued_by(ours)


def test_a_restart_keeps_the_authority(tmp_path):
    first, second = (open_authority(tmp_path / "authority", CLOCK).certificate_pem for _ in range(2))
    assert first == second
    assert (tmp_path / "authority" / "key.pem").stat().st_mode & 0o077 == 0


def belongs_together(folder: Path) -> bool:
    certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    return certificate.public_key() == key.public_key()


def test_who_resolved_the_link_before_a_renewal_reads_one_whole_identity(tmp_path, authority):
    identities = IdentityFolder(tmp_path)
    identities.write("orders", authority.issue("orders", 600))
    reading = (tmp_path / "orders").resolve()
    old = (reading / "cert.pem").read_bytes()
    for _ in range(2):
        identities.write("orders", authority.issue("orders", 600))
        assert (reading / "cert.pem").read_bytes() == old
        assert belongs_together(reading)
        assert belongs_together(tmp_path / "orders")
    assert (tmp_path / "orders" / "cert.pem").read_bytes() != old


def test_old_versions_do_not_pile_up(tmp_path, authority):
    identities = IdentityFolder(tmp_path)
    for _ in range(12):
        identities.write("orders", authority.issue("orders", 600))
        identities.write("orders-old", authority.issue("orders-old", 600))
    versions = sorted(path.name for path in (tmp_path / ".versions").iterdir())
    assert versions == ["orders-old.10", "orders-old.11", "orders-old.12", "orders.10", "orders.11", "orders.12"]


def test_a_service_loads_what_is_new_and_only_that(tmp_path, authority):
    identity, identities = Identity(tmp_path / "orders"), IdentityFolder(tmp_path)
    assert identity.refresh() is False
    identities.write("orders", authority.issue("orders", 600))
    assert identity.refresh() is True
    assert len(identity.client.get_ca_certs()) == 1
    identities.write("orders", Authority.fresh(CLOCK).issue("orders", 600))
    assert identity.refresh() is True
    assert identity.refresh() is True
    assert len(identity.client.get_ca_certs()) == 2


def test_what_is_no_identity_is_an_error(tmp_path):
    folder = tmp_path / "orders"
    folder.mkdir()
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (folder / name).write_text("nothing")
    with pytest.raises(ssl.SSLError):
        Identity(folder).refresh()
