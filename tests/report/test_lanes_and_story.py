"""States over time, and the run told in order."""

import dataclasses

from harness.model.run.events import Event, Kind
from harness.report.answers import Recovered, answer
from harness.report.lanes import lanes
from harness.report.observed import Observed, observe
from harness.report.sentences import how_recovered
from harness.report.story import story
from tests.report import verdicts
from tests.report.demo import LINK, Demo, at


def rewritten(observed: Observed, *events: Event) -> Observed:
    """The same run with other events."""
    recording = type(observed.recording)(observed.recording.path)
    recording.__dict__["events"] = events
    return dataclasses.replace(observed, recording=recording)


def test_a_breaker_has_a_bar_for_each_state(observed):
    fault, breaker = lanes(observed, observed.coarse)
    assert [(bar.look, round(bar.begin_s, 2), round(bar.end_s, 2), bar.text) for bar in fault.bars] == [
        ("fault", 20.02, 40.03, "latency 10s")
    ]
    assert (breaker.kind, breaker.name, breaker.note) == ("breaker", LINK, "in payments")
    assert [bar.look for bar in breaker.bars] == ["closed", *["open", "half_open"] * 4, "closed"]
    assert breaker.bars[1].said == "open, 21 s to 23 s"


def test_a_breaker_that_was_switched_off_says_so(broken):
    observed = observe(broken)
    assert [(lane.name, lane.bars, lane.note) for lane in lanes(observed, observed.coarse)[1:]] == [
        (LINK, (), "switched off (--without payments-breaker)")
    ]


def test_a_breaker_that_never_moved_says_so(not_felt):
    observed = observe(not_felt)
    assert lanes(observed, observed.coarse)[-1].note == "no change of state was reported"


def test_a_fault_that_was_never_applied_has_no_bar(observed):
    (lane, _) = lanes(rewritten(observed), observed.coarse)
    assert (lane.bars, lane.note) == ((), "latency 10s: never applied")


def test_a_fault_that_was_never_undone_lasts_to_the_end(observed):
    applied = Event(at(20), Kind.FAULT_APPLIED, {"fault": "fault-1", "kind": "latency", "place": LINK})
    (lane, _) = lanes(rewritten(observed, applied), observed.coarse)
    assert (lane.bars[0].end_s, lane.note) == (56.0, "never seen undone")


def test_a_process_that_died_has_a_lane(observed):
    died = Event(at(25), Kind.PROCESS_EXITED, {"service": "orders", "pid": 1, "code": -9, "expected": False})
    lane = lanes(rewritten(observed, died), observed.coarse)[-1]
    assert (lane.kind, lane.name, lane.bars[0].text, lane.bars[0].begin_s) == (
        "process",
        "orders",
        "exited, code -9",
        25.0,
    )


def test_the_story_is_told_in_the_order_of_time(observed):
    told = story(observed, answer(observed, verdicts.held()))
    assert [(round(moment.at_s, 1), moment.text) for moment in told] == [
        (20.0, f"latency 10s on {LINK}"),
        (20.1, "acme checkout: first request not served (89 in all)"),
        (20.9, "first time: deadline exceeded at orders (1 time in all)"),
        (21.3, f"breaker {LINK} opened"),
        (21.4, f"first time: breaker {LINK} refused a call (69 times in all)"),
        (40.0, "fault undone by the harness, read back"),
        (42.0, "everybody back inside the limits"),
        (42.1, f"breaker {LINK} closed again, after 4 probes"),
    ]


def test_a_run_whose_tenants_stay_hurt_has_not_recovered(tmp_path):
    observed = observe(Demo(tmp_path / "run", opens_s=None, hurt_until_s=99.0).write())
    answers = answer(observed, verdicts.broken())
    assert answers.recovered == Recovered(None, 2)
    assert how_recovered(answers) == "not before the run ended"


def test_a_fault_that_comes_again_has_a_bar_for_each_time(observed):
    def event(second, kind):
        return Event(at(second), kind, {"fault": "fault-1", "kind": "latency", "place": LINK})

    applied, undone = Kind.FAULT_APPLIED, Kind.FAULT_UNDONE
    lived = [event(20, applied), event(22, undone), event(24, applied), event(28, applied), event(29, undone)]
    (lane, _) = lanes(rewritten(observed, *lived), observed.coarse)
    assert [(bar.begin_s, bar.end_s) for bar in lane.bars] == [(20.0, 22.0), (24.0, 56.0), (28.0, 29.0)]
    assert lane.note == "never seen undone"
