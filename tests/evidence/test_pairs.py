"""Pairs of windows as they were, and how flows differ between them."""

import numpy as np
import pytest

from harness.evidence.facts import Facts
from harness.evidence.pairs import differences, real_pairs
from harness.evidence.requests import Pair
from harness.model.run.events import Kind
from tests.recordings import LINK, Written, at, small_plan

PHASES = {"warmup": "2s", "baseline": "10s", "fault": "24s", "recovery": "10s"}
DESIGN = {"interleaved": {"pairs": 3, "window": "4s", "settle": "1s"}}


def begin(tmp_path, **changes):
    return Written(tmp_path / "run", small_plan(scenario={"phases": PHASES, "design": DESIGN}, **changes))


def events(written, windows):
    for begin_s, end_s in windows:
        written.event(begin_s, Kind.FAULT_APPLIED, fault="fault-1", kind="latency", place=LINK)
        written.event(end_s, Kind.FAULT_UNDONE, fault="fault-1", by="harness")


def pairs_of(written):
    return real_pairs(Facts(written.read()))


def test_windows_as_planned_begin_once_the_system_settled(tmp_path):
    written = begin(tmp_path)
    written.fault_of_the_plan()
    planned = written.plan.window_pairs_s()
    found = [((p.control.start_ns, p.control.end_ns), (p.fault.start_ns, p.fault.end_ns)) for p in pairs_of(written)]
    assert found == [((at(p.control[0] + 1), at(p.control[1])), (at(p.fault[0] + 1), at(p.fault[1]))) for p in planned]


def test_a_fault_that_came_late_or_never_leaves_its_pair_out(tmp_path):
    written = begin(tmp_path)
    first, second, third = written.plan.fault_windows_s(0)
    events(written, [(first[0] + 2, first[1]), third])
    assert [pair.fault.end_ns for pair in pairs_of(written)] == [at(third[1])]
    assert second


def test_a_fault_that_stays_spoils_the_control_window_after_it(tmp_path):
    written = begin(tmp_path)
    whole = (written.plan.fault_window_s(0)[0], written.plan.fault_window_s(0)[1])
    events(written, [whole])
    planned = written.plan.window_pairs_s()
    outside = [p for p in planned if not whole[0] <= p.control[0] < whole[1]]
    assert len(pairs_of(written)) <= len(outside)


def test_a_run_without_a_fault_on_purpose_has_all_pairs(tmp_path):
    assert len(pairs_of(begin(tmp_path, aa=True))) == 3


@pytest.mark.parametrize(("measure", "expected"), [("p50", np.log(2)), ("p95", np.log(2)), ("errors", 0.0)])
def test_a_flow_twice_as_slow_differs_by_the_log_of_two(tmp_path, measure, expected):
    written = begin(tmp_path)
    written.fault_of_the_plan()
    for pair in written.plan.window_pairs_s():
        written.requests("globex", "browse", *pair.control, rate=6, latency_ms=20)
        written.requests("globex", "browse", *pair.fault, rate=6, latency_ms=40)
    facts = Facts(written.read())
    seen = differences(facts.requests.of(Pair("globex", "browse")), measure, real_pairs(facts))
    assert seen.known == pytest.approx([expected] * 3)
    assert (seen.rows > 50, seen.bad) == (True, 0)


def test_a_window_with_hardly_any_requests_leaves_its_pair_open(tmp_path):
    written = begin(tmp_path)
    written.fault_of_the_plan()
    for pair in written.plan.window_pairs_s()[1:]:
        written.requests("globex", "browse", *pair.control, rate=6)
        written.requests("globex", "browse", *pair.fault, rate=6)
    facts = Facts(written.read())
    seen = differences(facts.requests.of(Pair("globex", "browse")), "p50", real_pairs(facts))
    assert np.isnan(seen.by_pair).tolist() == [True, False, False]
