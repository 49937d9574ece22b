"""A run without a fault on purpose places nothing, whatever its plan says."""

import asyncio

from harness.faults.schedule import FaultSchedule
from harness.load.arrivals import surges_of
from tests.recordings import small_plan


def test_nothing_is_placed():
    schedule = FaultSchedule(
        small_plan(aa=True), start_ns=0, driver=None, emit=lambda _event: 1 / 0, clock=None, safety=None
    )
    asyncio.run(schedule.run())


def test_no_tenant_surges():
    faults = [{"surge": {"tenant": "globex", "times": 3}}]
    calm, real = (small_plan(scenario={"faults": faults}, aa=aa) for aa in (True, False))
    assert (surges_of(calm), len(surges_of(real))) == ([], 1)
