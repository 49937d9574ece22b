"""The keys that sign tokens: one signs now, the next is published already, old ones until their tokens are over."""

import asyncio
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from target_stack.kit.clock import Clock

LIFETIME_S = 300
"""How long a token is good for."""

_Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_MAKERS: dict[str, Callable[[], _Private]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A signing key as it is kept; *retired_ns* is when it signed its last token."""

    id: str
    algorithm: str
    private_pem: str
    retired_ns: int | None = None


class KeyStore(Protocol):
    """Where signing keys are kept, in the order in which they sign."""

    async def ensure_keys(self, fresh: Sequence[KeyRecord]) -> list[KeyRecord]:
        """Return all keys; those that are *fresh* are the first ones if there were none."""

    async def rotate_keys(self, fresh: KeyRecord, now_ns: int, gone_before_ns: int) -> list[KeyRecord]:
        """Retire the key that signs, add one that is fresh, drop those retired before *gone_before_ns*; return all."""


class SigningKeys:
    """Signs with the oldest key that is not retired; `open` must have run before."""

    def __init__(self, store: KeyStore, clock: Clock, algorithm: str = "ES256", *, overlaps: bool = True) -> None:
        self._store = store
        self._clock = clock
        self._algorithm = algorithm
        self._overlaps = overlaps
        self._records: list[KeyRecord] = []
        self._key: _Private | None = None
        self._public: dict[str, dict[str, object]] = {}

    async def open(self) -> None:
        """Load the keys, or make the first two: a restart keeps tokens good."""
        first, following = await _make(self._algorithm), await _make(self._algorithm)
        self._use(await self._store.ensure_keys([first, following]))

    async def rotate(self, algorithm: str | None = None) -> None:
        """Sign with the next key from now on, and publish the one after it, of *algorithm*."""
        now_ns = self._clock.unix_ns()
        fresh = await _make(algorithm or self._algorithm)
        self._use(await self._store.rotate_keys(fresh, now_ns, now_ns - LIFETIME_S * 1_000_000_000))

    @property
    def current(self) -> KeyRecord:
        """The key that signs; raises LookupError before `open`."""
        for record in self._records:
            if record.retired_ns is None:
                return record
        raise LookupError("the signing keys have not been loaded yet")

    def sign(self, claims: dict[str, object]) -> str:
        """Return the claims as a signed token."""
        current = self.current
        return jwt.encode(claims, self._key, algorithm=current.algorithm, headers={"kid": current.id})  # type: ignore[arg-type]

    def jwks(self) -> bytes:
        """Return the document with all public keys that a token may name."""
        if not self._overlaps:  # what is done without the protection `key_overlap`
            return json.dumps({"keys": [self._public[self.current.id]]}).encode()
        oldest_ns = self._clock.unix_ns() - LIFETIME_S * 1_000_000_000
        published = [each for each in self._records if each.retired_ns is None or each.retired_ns > oldest_ns]
        return json.dumps({"keys": [self._public[each.id] for each in published]}).encode()

    def _use(self, records: list[KeyRecord]) -> None:
        self._records = records
        self._key = _private(self.current)
        self._public = {each.id: _public(each) for each in records}


async def _make(algorithm: str) -> KeyRecord:
    """Return a fresh key; an RSA key takes a while, and must not hold up the service."""
    key = await asyncio.to_thread(_MAKERS[algorithm])
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyRecord(f"key-{secrets.token_hex(4)}", algorithm, pem.decode())


def _private(record: KeyRecord) -> _Private:
    key = serialization.load_pem_private_key(record.private_pem.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return key


def _public(record: KeyRecord) -> dict[str, object]:
    algorithm = jwt.get_algorithm_by_name(record.algorithm)
    jwk = algorithm.to_jwk(_private(record).public_key(), as_dict=True)
    named = {"kid": record.id, "use": "sig", "alg": record.algorithm}
    return {name: value for name, value in jwk.items() if name != "key_ops"} | named
