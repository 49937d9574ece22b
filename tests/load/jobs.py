"""Jobs for tests that need no process."""

from harness.load.job import ClockAnchor, LoadJob
from tests.load.fake_clock import START_NS
from tests.load.misbehaving_shop import FLOWS, LEDGERS
from tests.load.running import plan_of


def job_of(run, flows=FLOWS, load=None):
    plan = plan_of(flows, load or {"acme": {"buy": 1, "journey": 1}}, ledgers=LEDGERS)
    anchor = ClockAnchor(utc_ns=0xABC, monotonic_ns=0)
    return LoadJob(plan=plan, base_url="http://shop", start_ns=START_NS, anchor=anchor, run=str(run))
