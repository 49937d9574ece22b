"""Guardrails look at each second of the fault phase, and the first that trips ends the run."""

import asyncio

import pytest

from harness.model.errors import ExitCode
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Event, Kind
from harness.runner.guardrails import Guardrails, GuardrailTrippedError, pairs_of
from tests.recordings import FAULT_S, RECOVERY_S, small_plan

SPARED = {"errors": "> 20%", "over": "3s"}
NAME = "guardrail 1 (errors > 20% over 3s)"


class Turned:
    """A clock that the test turns."""

    now_s = 0.0

    def now_ns(self):
        return int(self.now_s * NS_PER_S)


def second(*flows):
    """Write the load's message of one second: (tenant, flow, bad, latencies)."""
    names = ("tenant", "flow", "bad", "latencies_ms")
    return {"progress": {}, "flows": [dict(zip(names, flow, strict=True)) for flow in flows]}


def tripped(seconds, *guardrails, first_s=FAULT_S + 1.0):
    """Let the guardrails hear *seconds*, one after another from *first_s*; return the events, and the error."""

    async def watch():
        clock, heard = Turned(), []
        plan = small_plan(scenario={"guardrails": list(guardrails or [SPARED])})
        rails = Guardrails(plan, start_ns=0, clock=clock, emit=heard.append)
        for number, message in enumerate(seconds):
            clock.now_s = first_s + number
            rails.hear(message)
        try:
            await asyncio.wait_for(rails.until_tripped(), 0.05)
        except TimeoutError:
            return heard, None
        except GuardrailTrippedError as error:
            return heard, error

    return asyncio.run(watch())


HURT = second(("globex", "browse", 3, [10.0] * 6))
WELL = second(("globex", "browse", 0, [10.0] * 6))


def test_a_bystander_that_is_hurt_for_long_enough_trips_it_once():
    heard, error = tripped([HURT] * 5)
    fields = {
        "guardrail": NAME,
        "tenant": "globex",
        "flow": "browse",
        "measure": "errors",
        "value": "50%",
        "bound": "> 20%",
        "samples": 18,
    }
    assert heard == [Event(int((FAULT_S + 3) * NS_PER_S), Kind.GUARDRAIL_TRIPPED, fields)]
    assert str(error) == f"{NAME} tripped: globex browse: errors 50% of 18 requests"
    assert error.exit_code is ExitCode.BROKEN


@pytest.mark.parametrize(
    "seconds",
    [
        [HURT, HURT],
        [HURT, WELL, WELL, WELL, HURT],
        [WELL] * 9,
        [second(("acme", "checkout", 9, [10.0] * 9))] * 5,
        [second(("globex", "browse", 1, [10.0]))] * 4,
        [{"progress": {}}] * 9,
    ],
    ids=["too short", "too little in three seconds", "well", "a victim", "too few requests", "nothing told"],
)
def test_it_does_not_trip(seconds):
    assert tripped(seconds) == ([], None)


@pytest.mark.parametrize("first_s", [FAULT_S - 5.5, RECOVERY_S + 0.5], ids=["before the fault", "after it"])
def test_only_the_fault_phase_is_looked_at(first_s):
    assert tripped([HURT] * 6, first_s=first_s) == ([], None)


def test_a_second_that_began_before_the_fault_is_not_looked_at():
    assert tripped([HURT] * 3, first_s=FAULT_S + 0.5) == ([], None)


def test_latencies_trip_it_too():
    slow = second(("acme", "browse", 0, [10.0] * 9 + [2500.0]))
    _, error = tripped([slow] * 3, {"p95": "> 2s", "over": "3s"})
    assert str(error) == "guardrail 1 (p95 > 2000 ms over 3s) tripped: acme browse: p95 2500 ms of 30 requests"


def test_the_first_of_several_that_trips_is_named():
    _, error = tripped([HURT] * 3, {"errors": "> 90%", "over": "1s"}, {"errors": "> 20%", "over": "2s"})
    assert str(error).startswith("guardrail 2 ")


@pytest.mark.parametrize(
    ("given", "watched"),
    [
        ({}, {("acme", "browse"), ("globex", "browse"), ("globex", "checkout")}),
        ({"flow": "checkout"}, {("globex", "checkout")}),
        ({"tenants": ["acme"]}, {("acme", "browse"), ("acme", "checkout")}),
    ],
)
def test_without_a_list_it_watches_everybody_outside_the_blast_radius(given, watched):
    plan = small_plan(scenario={"guardrails": [{**SPARED, **given}]})
    assert pairs_of(plan.scenario.guardrails[0], plan) == watched
