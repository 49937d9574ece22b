"""Issuing tokens: a proof of tenant, user and roles that anyone with the public key can check."""

import hmac
import json
import secrets
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from target_stack.kit.auth import ALGORITHM, AUDIENCE, ISSUER
from target_stack.kit.clock import Clock
from target_stack.kit.errors import ApiError
from target_stack.services.identity.store import IdentityStore, User, hash_secret

LIFETIME_S = 300


@dataclass(frozen=True, slots=True)
class Login:
    """Who claims to be whom."""

    tenant: str
    user: str
    secret: str


class SigningKey:
    """The private key and its public face."""

    def __init__(self, key_id: str, private_pem: str) -> None:
        self._key_id = key_id
        self._key = serialization.load_pem_private_key(private_pem.encode(), password=None)

    def sign(self, claims: dict[str, object]) -> str:
        """Return the claims as a signed token."""
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self._key_id})  # type: ignore[arg-type]

    def jwks(self) -> bytes:
        """Return the document with the public key."""
        public = jwt.get_algorithm_by_name(ALGORITHM).to_jwk(self._key.public_key(), as_dict=True)
        return json.dumps({"keys": [{**public, "kid": self._key_id, "use": "sig", "alg": ALGORITHM}]}).encode()


class TokenIssuer:
    """Checks secrets and signs tokens; `open` must have run before."""

    def __init__(self, store: IdentityStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._key: SigningKey | None = None

    async def open(self) -> None:
        """Load the signing key, or make the first one."""
        key_id, pem = await self._store.signing_key(f"key-{secrets.token_hex(4)}", _fresh_private_pem())
        self._key = SigningKey(key_id, pem)

    @property
    def key(self) -> SigningKey:
        """The key that signs now."""
        if self._key is None:
            raise LookupError("the signing key has not been loaded yet")
        return self._key

    async def issue(self, login: Login) -> str:
        """Return a token; raise the 401 that does not tell which part was wrong."""
        user = await self._store.find_user(login.tenant, login.user)
        if user is None or not hmac.compare_digest(user.secret_hash, hash_secret(user.salt, login.secret)):
            raise ApiError(401, "unauthorized", "tenant, user or client secret is wrong")
        return self.key.sign(self._claims(user))

    def _claims(self, user: User) -> dict[str, object]:
        now_s = self._clock.unix_ns() // 1_000_000_000
        return {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": f"{user.tenant}/{user.name}",
            "tenant": user.tenant,
            "roles": list(user.roles),
            "iat": now_s,
            "exp": now_s + LIFETIME_S,
        }


def _fresh_private_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
