"""Bearer tokens: who calls, proved by a signature that each service checks for itself with identity's public keys."""

import json
from collections import OrderedDict
from typing import Any

import jwt

from target_stack.kit.call_context import Caller
from target_stack.kit.clock import Clock

ISSUER = "https://identity.saas.example"
AUDIENCE = "saas-order-platform"
ALGORITHMS = ("ES256", "RS256")
"""What may sign; each key speaks one of them, whatever the token says."""
TENANT_USER = "tenant_user"
TENANT_ADMIN = "tenant_admin"
_MAX_CACHED_TOKENS = 4096


class TokenRejectedError(Exception):
    """The token does not prove who calls; the message says why."""


class UnknownKeyError(TokenRejectedError):
    """The token is signed with a key that is not known here (yet)."""


class TokenVerifier:
    """Verifies each token once and remembers the result until it expires; *trusting* believes whatever it reads."""

    def __init__(self, clock: Clock, *, trusting: bool = False, remembers: bool = True) -> None:
        self._clock = clock
        self._remembers = remembers
        self._trusting = trusting
        self._keys: dict[str, jwt.PyJWK] = {}
        self._verified: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    @property
    def has_keys(self) -> bool:
        """Whether any token can be verified at all."""
        return bool(self._keys)

    def learn_keys(self, jwks: str | bytes) -> None:
        """Replace the keys by those of a JWKS document; raise ValueError for one without any that can be used here.

        Such a document is somebody's mistake: what is known stays, for it would refuse everybody. Tokens of keys that
        are gone must be verified anew, and will fail.
        """
        keys = _usable_keys(jwks)
        if not keys and self._remembers:
            msg = "the document holds no key that can be used here"
            raise ValueError(msg)
        self._keys = keys
        self._verified.clear()

    def verify(self, token: str) -> Caller:
        """Return whom the token proves; raise TokenRejectedError otherwise."""
        now_s = self._clock.unix_ns() / 1e9
        cached = self._verified.get(token)
        if cached is not None and now_s < cached[0]:
            return cached[1]
        claims = _unverified_claims(token) if self._trusting else self._claims(token, now_s)
        caller = Caller(str(claims["tenant"]), str(claims["sub"]), frozenset(claims["roles"]), token)
        self._remember(token, float(claims["exp"]), caller)
        return caller

    def _claims(self, token: str, now_s: float) -> dict[str, Any]:
        try:
            key = self._key_of(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "sub", "tenant", "roles"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            raise TokenRejectedError(f"the token is not valid: {error}") from None
        _check_shape(claims)
        if claims["exp"] <= now_s:
            raise TokenRejectedError("the token has expired")
        return claims

    def _key_of(self, token: str) -> jwt.PyJWK:
        key_id = jwt.get_unverified_header(token).get("kid")
        key = self._keys.get(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise UnknownKeyError("the token is signed with a key that identity does not publish")
        return key

    def _remember(self, token: str, expires_s: float, caller: Caller) -> None:
        self._verified[token] = (expires_s, caller)
        if len(self._verified) > _MAX_CACHED_TOKENS:
            self._verified.popitem(last=False)


def _usable_keys(jwks: str | bytes) -> dict[str, jwt.PyJWK]:
    try:
        document = json.loads(jwks)
    except RecursionError:
        document = None
    listed = document.get("keys") if isinstance(document, dict) else None
    found = [_key(each) for each in listed] if isinstance(listed, list) else []
    return {key.key_id: key for key in found if key is not None and key.key_id}


def _key(described: Any) -> jwt.PyJWK | None:
    """Return a key that may sign tokens here; None for anything else."""
    if not isinstance(described, dict) or not isinstance(described.get("kid"), str):
        return None
    try:
        key = jwt.PyJWK(described)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return key if key.algorithm_name in ALGORITHMS else None


def _unverified_claims(token: str) -> dict[str, Any]:
    """Return what the token says of itself: for the proof that somebody must check."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise TokenRejectedError(f"the token is not valid: {error}") from None
    _check_shape({"exp": 0, "sub": "", "tenant": None, "roles": None} | claims)
    return {"exp": 0, "sub": ""} | claims


def bearer_token(header: str | None) -> str:
    """Return the token of an Authorization header; raise TokenRejectedError when there is none."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenRejectedError("the request has no bearer token")
    return token


def _check_shape(claims: dict[str, Any]) -> None:
    roles = claims["roles"]
    well_formed = (
        isinstance(claims["exp"], int | float)
        and isinstance(claims["tenant"], str)
        and isinstance(roles, list)
        and all(isinstance(role, str) for role in roles)
    )
    if not well_formed:
        raise TokenRejectedError("the token's claims have the wrong shape")
