import json

import jwt
import pytest

ACME = {"tenant": "acme", "client_secret": "acme-demo-secret"}


def test_a_token_names_tenant_user_and_roles(stack):
    reply = stack.call("POST", "/identity/token", body=ACME)
    assert reply.status == 200
    token = reply.json.pop("access_token")
    assert {name: reply.json[name] for name in ("tenant", "expires_in", "token_type")} == {
        "tenant": "acme",
        "expires_in": 300,
        "token_type": "Bearer",
    }
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["tenant"], claims["sub"], claims["roles"]) == ("acme", "acme/app", ["tenant_user"])
    assert claims["exp"] - claims["iat"] == 300


@pytest.mark.parametrize(
    "change",
    [{"client_secret": "wrong"}, {"tenant": "globex"}, {"tenant": "nobody"}, {"user": "admin"}, {"user": "nobody"}],
)
def test_a_wrong_login_is_refused_without_saying_what_was_wrong(stack, change):
    reply = stack.call("POST", "/identity/token", body={**ACME, **change})
    assert (reply.status, reply.json["error"]) == (401, "unauthorized")
    assert reply.json["message"] == "tenant, user or client secret is wrong"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'"acme"',
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({**ACME, "tenant": 7}).encode(),
        json.dumps({**ACME, "tenant": None}).encode(),
        json.dumps({**ACME, "client_secret": ["x"]}).encode(),
        json.dumps({**ACME, "tenant": "a\x00b"}).encode(),
        json.dumps({**ACME, "tenant": "\ud800"}).encode(),
        json.dumps({**ACME, "tenant": "a" * 1000}).encode(),
    ],
)
def test_a_malformed_login_is_the_clients_mistake(stack, body):
    reply = stack.call("POST", "/identity/token", body=body)
    assert (reply.status, reply.json["error"]) == (400, "bad_request")


def test_only_an_admin_sees_the_users_and_only_those_of_the_own_tenant(stack):
    refused = stack.call("GET", "/identity/users", tenant="acme")
    assert (refused.status, refused.json["error"]) == (403, "forbidden")
    admin = {"Authorization": f"Bearer {stack.token('acme', 'admin')}"}
    reply = stack.call("GET", "/identity/users", headers=admin)
    assert reply.json == {
        "tenant": "acme",
        "users": [
            {"tenant": "acme", "name": "admin", "roles": ["tenant_user", "tenant_admin"]},
            {"tenant": "acme", "name": "app", "roles": ["tenant_user"]},
        ],
    }


def test_tokens_outlive_a_restart_of_identity(stack):
    before = stack.call("POST", "/identity/token", body=ACME).json["access_token"]
    stack.restart("identity")
    after = stack.call("POST", "/identity/token", body=ACME).json["access_token"]
    for token in (before, after):
        headers = {"Authorization": f"Bearer {token}"}
        assert stack.call("GET", "/catalog/products/sku-1", headers=headers).status == 200


def test_the_published_keys_hold_nothing_private(stack):
    keys = stack.call("GET", "/.well-known/jwks.json", at="identity").json["keys"]
    assert len(keys) >= 2  # the one that signs, the next one, and old ones whose tokens are not over
    assert {frozenset(key) for key in keys} == {frozenset({"kty", "crv", "x", "y", "kid", "use", "alg"})}
