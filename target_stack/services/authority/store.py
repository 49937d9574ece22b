"""Identities on disk: a reader sees either the whole old one or the whole new one, never half of each.

`<folder>/<service>` is a link to `<folder>/.versions/<service>.<number>`. Renewing writes a new version and then moves
the link; who resolved the link before still finds the version that it was reading.
"""

import os
import shutil
from pathlib import Path

from target_stack.kit.clock import Clock
from target_stack.services.authority.domain import Authority, Issued

_KEPT_VERSIONS = 3


class IdentityFolder:
    """Writes `cert.pem`, `key.pem` and `ca.pem` of each service."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions = folder / ".versions"

    def write(self, service: str, issued: Issued) -> None:
        """Make *issued* the identity of *service*."""
        number = max(self._numbers(service), default=0) + 1
        version = self._versions / f"{service}.{number}"
        _write(version / "cert.pem", issued.certificate)
        _write(version / "key.pem", issued.key)
        _write(version / "ca.pem", issued.authority)
        self._point(service, version)
        for old in self._numbers(service)[:-_KEPT_VERSIONS]:
            shutil.rmtree(self._versions / f"{service}.{old}")

    def _point(self, service: str, version: Path) -> None:
        aside = self._versions / f"{service}.link"
        aside.unlink(missing_ok=True)
        aside.symlink_to(version.relative_to(self._folder))  # relative to where it will lie
        aside.replace(self._folder / service)

    def _numbers(self, service: str) -> list[int]:
        found = self._versions.glob(f"{service}.*")
        return sorted(int(number) for path in found if (number := path.name.removeprefix(f"{service}.")).isdigit())


def open_authority(store: Path, clock: Clock) -> Authority:
    """Return the authority whose key lies in *store*, or a new one: a restart must not make everyone a stranger."""
    key, certificate = store / "key.pem", store / "ca.pem"
    if key.exists() and certificate.exists():
        return Authority.from_pem(key.read_bytes(), certificate.read_bytes(), clock)
    authority = Authority.fresh(clock)
    _write(certificate, authority.certificate_pem)
    _write(key, authority.key_pem)
    return authority


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    aside.replace(path)
