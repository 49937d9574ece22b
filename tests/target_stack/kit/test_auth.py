import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from target_stack.kit.auth import (
    AUDIENCE,
    ISSUER,
    TokenRejectedError,
    TokenVerifier,
    UnknownKeyError,
    bearer_token,
)
from target_stack.kit.call_context import Caller

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


def jwks(key=KEY, key_id="k1") -> str:
    public = jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key(), as_dict=True)
    return json.dumps({"keys": [{**public, "kid": key_id, "alg": "ES256"}]})


def claims(clock, **changes):
    usual = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "acme/app",
        "tenant": "acme",
        "roles": ["tenant_user"],
        "exp": clock.unix_ns() // 10**9 + 300,
    }
    return {name: value for name, value in (usual | changes).items() if value is not None}


def sign(body, key=KEY, key_id="k1", algorithm="ES256") -> str:
    return jwt.encode(body, key, algorithm=algorithm, headers={"kid": key_id})


@pytest.fixture
def verifier(clock):
    verifier = TokenVerifier(clock)
    verifier.learn_keys(jwks())
    return verifier


def test_a_good_token_names_its_caller(verifier, clock):
    token = sign(claims(clock))
    assert verifier.verify(token) == Caller("acme", "acme/app", frozenset({"tenant_user"}), token)


def test_a_remembered_token_still_expires(verifier, clock):
    token = sign(claims(clock))
    verifier.verify(token)
    clock.advance(301)
    with pytest.raises(TokenRejectedError, match="expired"):
        verifier.verify(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere"},
        {"aud": "other"},
        {"exp": 1},
        {"exp": None},
        {"tenant": None},
        {"roles": None},
        {"roles": "tenant_user"},
        {"roles": [1]},
        {"tenant": 7},
        {"sub": None},
    ],
)
def test_wrong_or_missing_claims_are_rejected(verifier, clock, changes):
    with pytest.raises(TokenRejectedError):
        verifier.verify(sign(claims(clock, **changes)))


def test_another_key_under_a_known_name_is_rejected(verifier, clock):
    with pytest.raises(TokenRejectedError):
        verifier.verify(sign(claims(clock), key=OTHER_KEY))


def test_a_symmetric_signature_is_rejected(verifier, clock):
    with pytest.raises(TokenRejectedError):
        verifier.verify(sign(claims(clock), key="x" * 64, algorithm="HS256"))


def test_an_unsigned_token_is_rejected(verifier, clock):
    with pytest.raises(TokenRejectedError):
        verifier.verify(jwt.encode(claims(clock), None, algorithm="none", headers={"kid": "k1"}))


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "é.é.é", "." * 10])
def test_rubbish_is_rejected(verifier, token):
    with pytest.raises(TokenRejectedError):
        verifier.verify(token)


def test_a_new_key_can_be_learned_and_an_old_one_forgotten(verifier, clock):
    new, old = sign(claims(clock), OTHER_KEY, "k2"), sign(claims(clock))
    verifier.verify(old)
    with pytest.raises(UnknownKeyError):
        verifier.verify(new)
    verifier.learn_keys(jwks(OTHER_KEY, "k2"))
    assert verifier.verify(new).tenant == "acme"
    with pytest.raises(UnknownKeyError):
        verifier.verify(old)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_without_a_bearer_token_nobody_is_known(header):
    with pytest.raises(TokenRejectedError):
        bearer_token(header)
