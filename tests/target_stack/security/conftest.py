"""The tests of this folder run against the stack that speaks mutual TLS."""

import pytest


@pytest.fixture
def stack(secure_stack):
    return secure_stack


@pytest.fixture
def without(stack):
    """Restarts a service without one of its protections, and with all of them afterwards."""
    weakened = []

    def switch_off(service, protection):
        weakened.append(service)
        stack.restart(service, PROOFS="on", PROTECTIONS_OFF=protection, **usual(service))

    yield switch_off
    for service in weakened:
        stack.restart(service, **usual(service))


def usual(service):
    return {"RATE_LIMITS": "gold=500:500,silver=500:500"} if service == "gateway" else {}
