"""What a service finds in its environment."""

import json

import pytest

from harness.drivers.environment import (
    Surroundings,
    check_placeholders,
    command_of,
    environment_of,
    fill,
    switched_off,
    tenants_json,
)
from harness.model.errors import UsageError
from tests.drivers.support import target

TARGET = target(
    {
        "front": {"command": ["{python}", "-m", "front", "--port={port}"], "env": {"MODE": "{service}@{host}"}},
        "back": "",
    },
    environment={"OTLP": "{otlp}", "TENANTS": "{tenants}", "RUN": "{run}", "MODE": "overridden"},
    proofs={"env": {"PROOFS": "on"}},
    links={"front -> back": {"env": "BACK_URL", "value": "http://{address}/v1"}},
    protections={
        "breaker": {"kind": "breaker", "service": "front", "off": {"env": {"OFF": "breaker"}}},
        "bulkhead": {"kind": "bulkhead", "service": "front", "off": {"env": {"OFF": "bulkhead"}}},
        "deadline": {"kind": "deadline", "service": "back", "off": {"env": {"OFF": "deadline"}}},
    },
)
AROUND = Surroundings("127.0.0.1", "http://127.0.0.1:4318", "run-1", tenants_json(TARGET))


def of(service, *, without=()):
    values = AROUND.placeholders(service, 12345)
    links = {"front -> back": "127.0.0.1:7000"}
    return environment_of(TARGET, service, values, links=links, without=without, marker={"HARNESS_RUN": "run-1"})


def test_placeholders_are_filled_and_a_services_own_value_wins():
    found = of("front")
    assert {name: found[name] for name in ("OTLP", "RUN", "MODE", "BACK_URL", "HARNESS_RUN")} == {
        "OTLP": "http://127.0.0.1:4318",
        "RUN": "run-1",
        "MODE": "front@127.0.0.1",
        "BACK_URL": "http://127.0.0.1:7000/v1",
        "HARNESS_RUN": "run-1",
    }


def test_tenants_are_told_with_the_targets_own_attributes():
    assert json.loads(of("front")["TENANTS"]) == {"acme": {"plan": "gold", "secret": "s"}}


def test_only_the_caller_gets_a_links_address():
    assert "BACK_URL" not in of("back")


def test_little_is_inherited(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    found = of("back")
    assert "AWS_SECRET_ACCESS_KEY" not in found
    assert found["PYTHONPATH"] == "/somewhere"


def test_protections_of_one_service_share_a_variable():
    assert switched_off(TARGET, "front", ["bulkhead", "breaker", "deadline", "breaker"]) == {"OFF": "bulkhead,breaker"}


def test_off_switches_are_honoured_only_in_a_proof():
    assert "PROOFS" not in of("front")
    assert (of("front", without=["breaker"])["PROOFS"], of("back", without=["breaker"]).get("OFF")) == ("on", None)
    assert of("back", without=["breaker"])["PROOFS"] == "on"


def test_the_command_is_filled():
    assert command_of(TARGET, "front", AROUND.placeholders("front", 99))[1:] == ["-m", "front", "--port=99"]


def test_braces_that_are_no_placeholder_stay():
    assert fill('{"a": {"b": 1}} {}', {}, where="x") == '{"a": {"b": 1}} {}'


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"environment": {"A": "{prot}"}}, r"environment\.A: unknown placeholder \{prot\}; did you mean 'port'\?"),
        ({"proofs": {"env": {"A": "{nope}"}}, "protections": TARGET.model_dump()["protections"]}, r"proofs\.env\.A"),
        ({"links": {"front -> front": {"env": "X", "value": "{port}"}}}, r"links\.front -> front\.value.*address"),
        ({"services": {"front": {"command": ["{pyhton}"]}}}, r"services\.front\.command\[0\].*python"),
        ({"services": {"front": {"command": ["x"], "env": {"B": "{x}"}}}}, r"services\.front\.env\.B"),
    ],
)
def test_an_unknown_placeholder_is_a_usage_error_that_names_its_key(more, message):
    services = {"front": {"command": ["x"]}, "back": "", **more.get("services", {})}
    wrong = target(services, **{name: value for name, value in more.items() if name != "services"})
    with pytest.raises(UsageError, match=message):
        check_placeholders(wrong, AROUND)
