"""Whose certificates a link shows, read again whenever the folder that holds them changes."""

import ssl
from dataclasses import dataclass
from pathlib import Path


class NoIdentityError(Exception):
    """The folder has nothing that can be used, and why."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """TLS as the callee towards the caller, and as the caller towards the callee."""

    server: ssl.SSLContext
    client: ssl.SSLContext


class LinkIdentity:
    """The identities of both ends: folders with `cert.pem`, `key.pem` and `ca.pem`, or links to such folders."""

    def __init__(self, caller: Path, callee: Path) -> None:
        self._folders = caller, callee
        self._seen: tuple[tuple[Path, int], ...] = ()
        self._contexts: Contexts | None = None

    def contexts(self) -> Contexts:
        """Return contexts with what lies there now. Raises NoIdentityError."""
        versions = [_version_in(folder) for folder in self._folders]
        try:
            seen = tuple((version, (version / "cert.pem").stat().st_mtime_ns) for version in versions)
        except OSError as problem:
            raise _unreadable(problem.filename, problem) from None
        if self._contexts is None or seen != self._seen:
            self._contexts = Contexts(_server_context(versions[1]), _client_context(versions[0]))
            self._seen = seen
        return self._contexts


def _version_in(folder: Path) -> Path:
    """Follow the link once: all files must be of the same version."""
    try:
        return folder.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: links that lead round in a circle
        msg = f"there is no identity at {folder}"
        raise NoIdentityError(msg) from None


def _unreadable(where: object, problem: OSError) -> NoIdentityError:
    return NoIdentityError(f"the identity at {where} cannot be read: {problem.strerror or problem}")


def _server_context(folder: Path) -> ssl.SSLContext:
    """A caller must show a certificate: the proxy shows the caller's on, and must not lend it to anybody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # a resumed session would outlive the certificate that opened it
    return _load(context, folder)


def _client_context(folder: Path) -> ssl.SSLContext:
    return _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), folder)


def _load(context: ssl.SSLContext, folder: Path) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(folder / "ca.pem")
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem", password="")  # never ask at the terminal
    except OSError as problem:  # ssl.SSLError too
        raise _unreadable(folder, problem) from None
    return context


def names_of(tls: ssl.SSLObject) -> list[str]:
    """Return the DNS names of the peer's certificate."""
    certificate = tls.getpeercert() or {}
    names: tuple[tuple[str, str], ...] = certificate.get("subjectAltName", ())  # type: ignore[assignment]
    return [name for kind, name in names if kind == "DNS"]
