"""Issuing tokens: a proof of tenant, user and roles that anyone with the public key can check."""

import hmac
from dataclasses import dataclass

from target_stack.kit.auth import AUDIENCE, ISSUER
from target_stack.kit.clock import Clock
from target_stack.kit.errors import ApiError
from target_stack.services.identity.signing import LIFETIME_S, SigningKeys
from target_stack.services.identity.store import IdentityStore, User, hash_secret


@dataclass(frozen=True, slots=True)
class Login:
    """Who claims to be whom."""

    tenant: str
    user: str
    secret: str


class TokenIssuer:
    """Checks secrets and signs tokens; the keys must have been opened before."""

    def __init__(self, store: IdentityStore, keys: SigningKeys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    async def issue(self, login: Login) -> str:
        """Return a token; raise the 401 that does not tell which part was wrong."""
        user = await self._store.find_user(login.tenant, login.user)
        if user is None or not hmac.compare_digest(user.secret_hash, hash_secret(user.salt, login.secret)):
            raise ApiError(401, "unauthorized", "tenant, user or client secret is wrong")
        return self._keys.sign(self._claims(user))

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
