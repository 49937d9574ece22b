"""No secret of a target is recorded, and nothing else is lost."""

import json

import pytest

from harness.recording.secrets import MARKER, is_secret_name
from tests.recordings import Written, small_plan, small_target


@pytest.mark.parametrize(
    "name",
    [
        *("secret", "client_secret", "clientSecret", "PASSWORD", "DB_PASSWORD", "api-key", "apiKey", "x-api-key"),
        *("key", "token", "accessToken", "Authorization", "Set-Cookie", "credentials", "DATABASE_DSN", "HTTPToken"),
    ],
)
def test_these_are_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["plan", "monkey", "keyboard", "tokenizer", "neighbour", "region", "KEYCLOAK", "URL"])
def test_these_are_not(name):
    assert not is_secret_name(name)


def recorded(tmp_path, **target):
    run = Written(tmp_path / "run", small_plan(target=target)).read().path
    return (run / "run.json").read_text()


def test_secrets_are_replaced_wherever_they_stand(tmp_path):
    services = {**small_target()["services"]}
    services["orders"] = {
        "command": ["serve", "--dsn", "postgres://app:hunter22@db/orders", "--key=acme-very-secret"],
        "env": {"DB_PASSWORD": "hunter22", "MODE": "fast", "TENANTS": '{"acme": "acme-very-secret"}'},
    }
    flows = small_target()["flows"]
    flows["login"]["steps"][0] |= {
        "headers": {"Authorization": "Basic YWNtZTpzZWNyZXQ=", "x-tenant": "{tenant}"},
        "body": {"user": "acme", "list": [{"client_secret": "in-a-body-1"}], "code": "{tenant.secret}"},
    }
    text = recorded(
        tmp_path,
        services=services,
        flows=flows,
        tenants={"acme": {"secret": "acme-very-secret", "pin": {"token": 12345678}}, "globex": {}, "initech": {}},
        environment={"SIGNING_KEY": "k", "LEVEL": "info"},
    )
    for secret in ("acme-very-secret", "hunter22", "YWNtZTpzZWNyZXQ=", "in-a-body-1", "12345678"):
        assert secret not in text
    target = json.loads(text)["plan"]["target"]
    assert target["environment"] == {"SIGNING_KEY": MARKER, "LEVEL": "info"}
    assert target["services"]["orders"]["env"]["MODE"] == "fast"
    step = target["flows"]["login"]["steps"][0]
    assert step["headers"] == {"Authorization": MARKER, "x-tenant": "{tenant}"}
    assert step["body"] == {"user": "acme", "list": [{"client_secret": MARKER}], "code": "{tenant.secret}"}


def test_a_placeholder_and_the_keys_of_ledgers_stay(tmp_path):
    token = {"request": {"path": "/token", "body": {"client_secret": "{tenant.secret}"}}}
    document = json.loads(recorded(tmp_path, token=token))
    assert document["plan"]["target"]["token"]["request"]["body"] == {"client_secret": "{tenant.secret}"}
    assert document["plan"]["target"]["token"]["header"] == {"Authorization": "Bearer {token}"}
    assert document["plan"]["target"]["flows"]["checkout"]["steps"][0]["ledger"]["key"] == "{key}"
    assert MARKER not in json.dumps(document)


def test_a_secret_that_is_called_like_a_part_of_the_plan_takes_no_name_away(tmp_path):
    tenants = {"acme": {"secret": "checkout"}, "globex": {"secret": "provider-a"}, "initech": {}}
    plan = small_plan(target={"tenants": tenants})
    recording = Written(tmp_path / "run", plan).read()
    assert recording.plan.scenario == plan.scenario
    assert [tenant.secret for tenant in list(recording.plan.target.tenants.values())[:2]] == [MARKER, MARKER]
