"""What the tests of faults share."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from harness.model.events import Event, Kind
from harness.model.plan import Plan
from harness.runner.planning import make_plan

HANG_GUARD_S = 20.0
LINK = "payments -> provider-a"
PLAN = make_plan("payment-provider-hang", target=None, seed=3, quick=True, without=[])


def plan_with(*faults: dict[str, Any], fault_s: str = "8s") -> Plan:
    """Return a real plan whose faults are these."""
    raw = PLAN.model_dump(mode="json")
    raw["scenario"]["faults"] = list(faults)
    raw["phases"] = {"warmup": "0s", "baseline": "1s", "fault": fault_s, "recovery": "1s"}
    return Plan.model_validate(raw)


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
