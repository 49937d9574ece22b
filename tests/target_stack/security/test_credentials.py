"""Forged, stale and foreign tokens: refused at the gateway, and by each service for itself."""

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from target_stack.kit.auth import AUDIENCE, ISSUER

JWKS = "/.well-known/jwks.json"


def good_claims(**changes):
    now_s = int(time.time())
    usual = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "acme/app",
        "tenant": "acme",
        "roles": ["tenant_user"],
        "exp": now_s + 300,
        "iat": now_s,
    }
    return usual | changes


def published(stack):
    return stack.call("GET", JWKS, at="identity", identity="gateway").json["keys"]


def real_key(stack):
    """Return id and private key with which identity signs now: a thief's view, to forge all but one claim well."""
    query = "SELECT id, private_pem FROM signing_keys WHERE retired_ns IS NULL ORDER BY number LIMIT 1"
    key_id, pem = stack.postgres.run(f"COPY ({query}) TO STDOUT", database="identity").split("\t")
    return key_id, pem.replace("\\n", "\n")


def unsigned(stack):
    return jwt.encode(good_claims(), None, algorithm="none", headers={"kid": published(stack)[0]["kid"]})


def signed_by_a_stranger(stack):
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(good_claims(), key, algorithm="ES256", headers={"kid": published(stack)[0]["kid"]})


def signed_with_an_unknown_key(_stack):
    return jwt.encode(good_claims(), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "x"})


def signed_with_the_public_key(stack):
    """HS256 with the public key as the secret: the classic confusion of algorithms. PyJWT will not make one for us."""
    import hashlib
    import hmac

    key_id, pem = real_key(stack)
    public = serialization.load_pem_private_key(pem.encode(), None).public_key()
    secret = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "typ": "JWT", "kid": key_id}
    text = b".".join(_base64(json.dumps(part).encode()) for part in (header, good_claims()))
    return (text + b"." + _base64(hmac.new(secret, text, hashlib.sha256).digest())).decode()


def _base64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def really_signed(**changes):
    def forge(stack):
        key_id, pem = real_key(stack)
        return jwt.encode(good_claims(**changes), pem, algorithm="ES256", headers={"kid": key_id})

    return forge


def tampered(stack):
    header, _, signature = stack.token("acme").split(".")
    return f"{header}.{_base64(json.dumps(good_claims(tenant='globex')).encode()).decode()}.{signature}"


ATTACKS = {
    "alg none": unsigned,
    "a stranger's signature": signed_by_a_stranger,
    "an unknown key": signed_with_an_unknown_key,
    "the public key as a secret": signed_with_the_public_key,
    "expired": really_signed(exp=1_700_000_000),
    "wrong audience": really_signed(aud="somewhere-else"),
    "wrong issuer": really_signed(iss="https://identity.elsewhere.example"),
    "tampered claims": tampered,
    "rubbish": lambda _: "a.b.c",
}


@pytest.mark.parametrize("forge", ATTACKS.values(), ids=ATTACKS)
def test_a_bad_token_is_refused_at_the_gateway_and_reaches_no_service(stack, forge):
    headers = {"Authorization": f"Bearer {forge(stack)}"}
    before = stack.metric("catalog", "http_server_refused_total", reason="unauthorized")
    for path in ("/catalog/products", "/me"):
        reply = stack.call("GET", path, headers=headers)
        assert (reply.status, reply.json["error"]) == (401, "unauthorized")
        assert len(reply.json["trace_id"]) == 32
    assert stack.metric("catalog", "http_server_refused_total", reason="unauthorized") == before


@pytest.mark.parametrize("forge", ATTACKS.values(), ids=ATTACKS)
def test_a_service_refuses_it_even_from_the_gateway(stack, forge):
    headers = {"Authorization": f"Bearer {forge(stack)}"}
    reply = stack.call("GET", "/catalog/products", at="catalog", identity="gateway", headers=headers)
    assert (reply.status, reply.json["error"]) == (401, "unauthorized")


def test_a_token_that_is_forged_well_but_for_nothing_gets_in(stack):
    """What the attacks above differ from: else they might be refused for another reason than theirs."""
    headers = {"Authorization": f"Bearer {really_signed()(stack)}"}
    assert stack.call("GET", "/me", headers=headers).json == {
        "tenant": "acme",
        "subject": "acme/app",
        "roles": ["tenant_user"],
    }


def test_a_gateway_that_verifies_nothing_believes_a_forged_token(stack, without):
    without("gateway", "token_verification")
    headers = {"Authorization": f"Bearer {unsigned(stack)}"}
    before = stack.metric("catalog", "http_server_refused_total", reason="unauthorized")
    assert stack.call("GET", "/me", headers=headers).json["tenant"] == "acme"
    assert stack.call("GET", "/catalog/products", headers=headers).status == 401
    assert stack.metric("catalog", "http_server_refused_total", reason="unauthorized") == before + 1


def test_a_flood_of_unknown_keys_hardly_reaches_identity(stack):
    def asked():
        series = {"route": JWKS, "method": "GET", "status": "200", "tenant": ""}
        return stack.metric("identity", "http_server_requests_total", **series) or 0

    headers = {"Authorization": f"Bearer {signed_with_an_unknown_key(stack)}"}
    before, started_s = asked(), time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda _: stack.call("GET", "/me", headers=headers).status, range(60)))
    at_most = (time.monotonic() - started_s) / 0.2 + 2
    assert set(replies) == {401}
    assert 1 <= asked() - before <= at_most


def rotate(stack, **body):
    reply = stack.call("POST", "/identity/keys/rotate", at="identity", identity="operator", body=body)
    assert reply.status == 200, reply.json
    return reply.json["signs"]


def fresh_token(stack):
    body = {"tenant": "acme", "client_secret": "acme-demo-secret"}
    return stack.call("POST", "/identity/token", body=body).json["access_token"]


def works(stack, token):
    headers = {"Authorization": f"Bearer {token}"}
    return stack.call("GET", "/catalog/products/sku-1", headers=headers).status == 200


def test_the_next_key_is_published_before_it_signs_and_the_last_one_while_its_tokens_live(stack):
    first, following = (key["kid"] for key in published(stack)[-2:])
    old = fresh_token(stack)
    assert jwt.get_unverified_header(old)["kid"] == first
    assert rotate(stack) == following
    new = fresh_token(stack)
    assert jwt.get_unverified_header(new)["kid"] == following
    assert [key["kid"] for key in published(stack)][-3:-1] == [first, following]
    assert (works(stack, old), works(stack, new)) == (True, True)


def test_keys_of_both_algorithms_sign(stack):
    rotate(stack, algorithm="RS256")
    rotate(stack)
    token = fresh_token(stack)
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    assert works(stack, token)
    assert {key["alg"] for key in published(stack)} == {"ES256", "RS256"}
    assert not any({"d", "p", "q"} & set(key) for key in published(stack))
    rotate(stack)


def test_keys_rotate_under_load_and_no_good_token_is_refused(stack):
    stopped, statuses = threading.Event(), []

    def client():
        while not stopped.is_set():
            headers = {"Authorization": f"Bearer {fresh_token(stack)}"}
            statuses.append(stack.call("GET", "/catalog/products/sku-1", headers=headers).status)

    with ThreadPoolExecutor(3) as pool:
        clients = [pool.submit(client) for _ in range(3)]
        for _ in range(3):
            time.sleep(0.7)
            rotate(stack)
            rotate(stack)  # twice: the second one signs with a key that nobody may know yet
        stopped.set()
        for each in clients:
            each.result()
    assert set(statuses) == {200}


@pytest.mark.parametrize("caller", ["gateway", "orders", "rogue-stranger"])
def test_only_the_operator_rotates_keys(stack, caller):
    reply = stack.call("POST", "/identity/keys/rotate", at="identity", identity=caller, body={})
    assert (reply.status, reply.json["error"]) == (403, "caller_refused")


def test_while_identity_is_paused_known_callers_go_on(stack):
    token = fresh_token(stack)
    with stack.paused("identity"):
        assert all(works(stack, token) for _ in range(5))
        unknown = {"Authorization": f"Bearer {signed_with_an_unknown_key(stack)}"}
        assert stack.call("GET", "/me", headers=unknown).status == 401
        assert works(stack, token)


def test_a_malformed_algorithm_is_the_operators_mistake(stack):
    for algorithm in ("none", "HS256", 7, []):
        body = {"algorithm": algorithm}
        reply = stack.call("POST", "/identity/keys/rotate", at="identity", identity="operator", body=body)
        assert (reply.status, reply.json["error"]) == (400, "bad_request")
