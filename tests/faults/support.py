"""What the tests of faults share."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from harness.faults.kinds.catalogue import Circumstances, injector_for
from harness.faults.kinds.injector import Injector
from harness.faults.safety.safety import Safety
from harness.model.files.faults import Fault
from harness.model.files.target import Flags
from harness.model.run.events import Event, Kind
from harness.model.run.plan import Plan
from harness.runner.planning import make_plan
from harness.units.processes import Processes

HANG_GUARD_S = 20.0
FLAGS = Flags.model_validate({"service": "flags", "write": {"path": "/flags/{flag}"}})
LINK = "payments -> provider-a"
PLAN = make_plan("payment-provider-hang", target=None, seed=3, quick=True, without=[])


def plan_with(*faults: dict[str, Any], fault_s: str = "8s") -> Plan:
    """Return a real plan whose faults are these."""
    raw = PLAN.model_dump(mode="json")
    raw["scenario"]["faults"] = list(faults)
    raw["phases"] = {"warmup": "0s", "baseline": "1s", "fault": fault_s, "recovery": "1s"}
    return Plan.model_validate(raw)


class Somewhere:
    """A target of which the tests say what is where."""

    def __init__(self, api: str = "127.0.0.1:1", **processes: list[psutil.Process]) -> None:
        self.proxy_api = api
        self.processes = processes
        self.expected: list[str] = []
        self.revived: list[str] = []
        self.cause_of_revival = ""
        self.database = ""
        self.base_url = ""

    def unit_of(self, service: str) -> Processes | None:
        found = self.processes.get(service)
        return Processes.of(found) if found else None

    def expect_death(self, service: str) -> None:
        self.expected.append(service)

    def revive(self, service: str) -> str:
        self.revived.append(service)
        return self.cause_of_revival

    def database_url(self, _service: str) -> str:
        return self.database

    def url_at(self, _service: str, place: str) -> str:
        return self.base_url + place


def make(fault: Fault, *, api: str = "127.0.0.1:1", safety: Safety, places: Somewhere | None = None) -> Injector:
    """Return what makes *fault* real, called fault-1."""
    return injector_for(fault, Circumstances("fault-1", places or Somewhere(api), FLAGS, safety))


def wait_until(condition: Callable[[], Any], what: str, limit_s: float = HANG_GUARD_S) -> Any:
    """Wait for *condition* to give something true and return it."""
    give_up = time.monotonic() + limit_s
    while time.monotonic() < give_up:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {limit_s:g}s")


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def events_in(run: Path) -> list[dict[str, Any]]:
    """Return the events of a run as they stand in the file."""
    path = run / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Heard(list[Event]):
    """Collects events."""

    def kinds(self) -> list[Kind]:
        return [event.kind for event in self]

    def of(self, kind: Kind) -> list[dict[str, Any]]:
        return [dict(event.fields) for event in self if event.kind is kind]
