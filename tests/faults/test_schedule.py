"""The faults of a plan at their times, and taken back however it ends."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from harness.faults import schedule as schedule_module
from harness.faults.kinds.injector import AS_ASKED, GONE, UNKNOWN, Observed, ReadBack
from harness.faults.schedule import FaultSchedule
from harness.model.errors import HarnessError, RollbackError
from harness.model.run.clock import NS_PER_MS, NS_PER_S, SteadyClock
from harness.model.run.events import Kind
from tests.faults.support import HANG_GUARD_S, LINK, Heard, Somewhere, plan_with


@dataclass
class Rehearsed:
    """An injector that does what the test says, and remembers what was asked of it."""

    cause_of_apply: str = ""
    is_there: bool = True
    cause_of_undo: str = ""
    lifted: str = ""
    counted: Observed = UNKNOWN
    slow_s: float = 0.0
    asked: list[str] = field(default_factory=list)

    def apply(self):
        self.asked.append("apply")
        time.sleep(self.slow_s)
        if self.cause_of_apply:
            raise HarnessError(self.cause_of_apply)

    def confirm(self):
        self.asked.append("confirm")
        return self.is_there

    def observed(self):
        return self.counted

    def undo(self):
        time.sleep(self.slow_s)
        self.asked.append("undo")
        return self.cause_of_undo

    def lifted_by(self):
        return self.lifted

    def settle(self):
        self.asked.append("settle")


@dataclass
class Watched(Rehearsed):
    """One that can be read back; it says what it is told to, the last word again and again."""

    seen: list[ReadBack | Exception] = field(default_factory=lambda: [AS_ASKED])

    def read_back(self):
        word = self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]
        if isinstance(word, Exception):
            raise word
        return word


class Journalled:
    """As much of Safety as the schedule asks itself."""

    def __init__(self):
        self.halted = False

    def is_halted(self):
        return self.halted


@pytest.fixture
def rehearse(monkeypatch):
    """Return a schedule of these faults, begun a second ago, whose injectors are the given ones."""

    def make(*injectors, plan=None, heard=None, safety=None):
        heard = Heard() if heard is None else heard
        names = {f"fault-{n + 1}": injector for n, injector in enumerate(injectors)}
        monkeypatch.setattr(schedule_module, "injector_for", lambda _fault, around: names[around.name])
        plan = plan or plan_with(*({"link": LINK, "latency": "1s"} for _ in injectors))
        clock = SteadyClock()
        begun = FaultSchedule(
            plan,
            start_ns=clock.now_ns() - NS_PER_S,
            driver=Somewhere(),
            emit=heard.append,
            clock=clock,
            safety=safety or Journalled(),
        )
        return begun, heard

    return make


def test_an_undo_is_told_of_before_it_is_struck_from_the_journal(rehearse):
    """A kill between the two must not leave a recording in which the fault was never undone."""
    injector, heard = Rehearsed(), Heard()
    injector.settle = lambda: heard.append("settled")
    schedule, _ = rehearse(injector, heard=heard)
    asyncio.run(schedule.run())
    kinds = [event if isinstance(event, str) else event.kind for event in heard]
    assert kinds.index(Kind.FAULT_UNDONE) < kinds.index("settled")


async def cancel_after(schedule, seconds, *, times=1):
    task = asyncio.create_task(schedule.run())
    for _ in range(times):
        await asyncio.sleep(seconds)
        task.cancel()
    await asyncio.wait([task])
    return task


def short(**more):
    return plan_with({"link": LINK, "latency": "1s", "duration": "100ms"}, **more)


def test_a_fault_is_asked_applied_and_undone_in_this_order(rehearse):
    injector = Rehearsed(counted=Observed(3, 400, 7))
    schedule, heard = rehearse(injector, plan=short())
    asyncio.run(schedule.run())
    assert injector.asked == ["apply", "confirm", "undo", "settle"]
    place = {"fault": "fault-1", "kind": "latency", "place": LINK}
    observed = {"fault": "fault-1", "connections": 3, "bytes": 400, "first_observed_ns": 7}
    assert [(event.kind, dict(event.fields)) for event in heard] == [
        (Kind.FAULT_ASKED, place),
        (Kind.FAULT_APPLIED, place),
        (Kind.FAULT_OBSERVED, observed),
        (Kind.FAULT_UNDONE, {"fault": "fault-1", "by": "harness"}),
        (Kind.FAULT_OBSERVED, observed),
    ]


def test_what_cannot_be_counted_is_told_as_minus_one(rehearse):
    schedule, heard = rehearse(Rehearsed(), plan=short())
    asyncio.run(schedule.run())
    assert heard.of(Kind.FAULT_OBSERVED) == [
        {"fault": "fault-1", "connections": -1, "bytes": -1, "first_observed_ns": None}
    ]


def test_a_fault_waits_for_its_own_start(rehearse):
    plan = plan_with({"link": LINK, "latency": "1s", "start": "300ms", "duration": "100ms"})
    schedule, heard = rehearse(Rehearsed(), plan=plan)
    asyncio.run(schedule.run())
    asked, undone = (next(e.time_ns for e in heard if e.kind is kind) for kind in (Kind.FAULT_ASKED, Kind.FAULT_UNDONE))
    assert asked >= schedule._start_ns + NS_PER_S + 300 * NS_PER_MS
    assert undone >= schedule._start_ns + NS_PER_S + 400 * NS_PER_MS


def test_cancelling_undoes_and_lets_the_cancellation_through(rehearse):
    injectors = [Rehearsed(), Rehearsed()]
    schedule, heard = rehearse(*injectors)
    task = asyncio.run(cancel_after(schedule, 0.2))
    assert task.cancelled()
    assert [injector.asked[-1] for injector in injectors] == ["settle", "settle"]
    assert len(heard.of(Kind.FAULT_UNDONE)) == 2


def test_cancelling_while_a_fault_is_being_applied_undoes_it_afterwards(rehearse):
    injector = Rehearsed(slow_s=0.3)
    schedule, _ = rehearse(injector)
    assert asyncio.run(cancel_after(schedule, 0.1)).cancelled()
    assert injector.asked == ["apply", "confirm", "undo", "settle"]


def test_cancelling_again_and_again_never_skips_the_undo(rehearse):
    injector = Rehearsed(slow_s=0.3)
    schedule, heard = rehearse(injector)
    assert asyncio.run(cancel_after(schedule, 0.05, times=9)).cancelled()
    assert injector.asked[-2:] == ["undo", "settle"]
    assert heard.of(Kind.FAULT_UNDONE) == [{"fault": "fault-1", "by": "harness"}]


def test_cancelling_before_the_start_touches_nothing(rehearse):
    injector = Rehearsed()
    schedule, heard = rehearse(injector, plan=plan_with({"link": LINK, "latency": "1s", "start": "5s"}))
    assert asyncio.run(cancel_after(schedule, 0.1)).cancelled()
    assert (injector.asked, list(heard)) == ([], [])


def test_a_fault_that_cannot_be_applied_ends_all_and_everything_is_undone(rehearse):
    good, bad = Rehearsed(), Rehearsed(cause_of_apply="no such proxy")
    schedule, heard = rehearse(good, bad)
    with pytest.raises(HarnessError, match="no such proxy"):
        asyncio.run(schedule.run())
    assert (good.asked[-2:], bad.asked) == (["undo", "settle"], ["apply", "undo", "settle"])
    assert heard.of(Kind.FAULT_FAILED) == [{"fault": "fault-2", "step": "apply", "cause": "no such proxy"}]


def test_a_fault_that_is_not_there_after_it_was_accepted_is_not_applied(rehearse):
    schedule, heard = rehearse(Rehearsed(is_there=False))
    with pytest.raises(HarnessError, match="accepted and is not there"):
        asyncio.run(schedule.run())
    assert Kind.FAULT_APPLIED not in heard.kinds()


def test_a_rollback_that_fails_outweighs_everything_else(rehearse):
    stuck, bad = Rehearsed(cause_of_undo="timed out"), Rehearsed(cause_of_apply="no such proxy")
    schedule, heard = rehearse(stuck, bad)
    with pytest.raises(RollbackError, match="may still be in place: timed out"):
        asyncio.run(schedule.run())
    assert {"fault": "fault-1", "step": "undo", "cause": "timed out"} in heard.of(Kind.FAULT_FAILED)


def test_a_rollback_that_fails_outweighs_a_cancellation(rehearse):
    schedule, _ = rehearse(Rehearsed(cause_of_undo="timed out"))
    task = asyncio.run(cancel_after(schedule, 0.2))
    assert isinstance(task.exception(), RollbackError)


@pytest.mark.parametrize(("lifted", "undone_events"), [("reaper", 0), ("abort", 0), ("somebody", 1)])
def test_a_fault_that_was_lifted_early_is_told_once(lifted, undone_events, rehearse):
    injector = Rehearsed()
    schedule, heard = rehearse(injector, plan=plan_with({"link": LINK, "latency": "1s", "duration": "400ms"}))

    async def run():
        task = asyncio.create_task(schedule.run())
        await asyncio.sleep(0.2)
        injector.lifted = lifted
        await task

    asyncio.run(run())
    assert heard.of(Kind.NOTE) == [{"text": f"fault-1 was lifted before its time, by the {lifted}"}]
    assert len(heard.of(Kind.FAULT_UNDONE)) == undone_events


def test_a_fault_that_is_lifted_while_it_is_applied_is_not_applied(rehearse):
    schedule, heard = rehearse(Rehearsed(lifted="reaper"))
    with pytest.raises(HarnessError, match="lifted by the reaper"):
        asyncio.run(schedule.run())
    assert Kind.FAULT_APPLIED not in heard.kinds()
    assert heard.of(Kind.FAULT_UNDONE) == [{"fault": "fault-1", "by": "harness"}]


def test_a_surge_stands_on_the_time_line_at_its_planned_edges(rehearse):
    plan = plan_with({"surge": {"tenant": "acme", "times": 20}, "duration": "100ms"})
    schedule, heard = rehearse(plan=plan)
    asyncio.run(schedule.run())
    begin = schedule._start_ns + NS_PER_S
    assert [(e.kind, e.time_ns) for e in heard if e.kind is not Kind.FAULT_ASKED] == [
        (Kind.FAULT_APPLIED, begin),
        (Kind.FAULT_UNDONE, begin + 100 * NS_PER_MS),
    ]


def test_a_surge_that_is_cut_short_ends_when_it_is(rehearse):
    schedule, heard = rehearse(plan=plan_with({"surge": {"tenant": "acme", "times": 20}}))
    assert asyncio.run(cancel_after(schedule, 0.1)).cancelled()
    (undone,) = [event.time_ns for event in heard if event.kind is Kind.FAULT_UNDONE]
    assert schedule._start_ns + NS_PER_S < undone < schedule._start_ns + 8 * NS_PER_S


def test_a_repeated_fault_lives_again_and_its_counts_add_up(rehearse):
    injector = Rehearsed(counted=Observed(touched=2, unit="processes", first_observed_ns=5))
    again = {"service": "orders", "kill": True, "duration": "600ms", "repeat": {"every": "700ms", "times": 2}}
    schedule, heard = rehearse(injector, plan=plan_with(again, fault_s="2s"))
    asyncio.run(schedule.run())
    lives = ["apply", "confirm", "undo", "settle"]
    assert injector.asked == lives * 2
    assert [event.kind for event in heard if event.kind is Kind.FAULT_UNDONE] == [Kind.FAULT_UNDONE] * 2
    last = heard.of(Kind.FAULT_OBSERVED)[-1]
    assert (last["touched"], last["unit"]) == (4, "processes")


def test_counts_that_nobody_has_stay_unknown():
    assert Observed(touched=2, unit="x") + UNKNOWN == Observed(touched=2, unit="x")
    assert Observed(connections=1, first_observed_ns=9) + Observed(connections=2, first_observed_ns=4) == Observed(
        connections=3, first_observed_ns=4
    )


def test_each_repetition_is_told_and_undone_by_itself(rehearse):
    repeated = {"link": LINK, "latency": "1s", "duration": "100ms", "repeat": {"every": "200ms", "times": 3}}
    injector = Rehearsed(counted=Observed(2, 100, 7))
    schedule, heard = rehearse(injector, plan=plan_with(repeated))
    asyncio.run(schedule.run())
    assert injector.asked == ["apply", "confirm", "undo", "settle"] * 3
    told = [(e.kind, e.fields["repetition"]) for e in heard if e.kind is not Kind.FAULT_OBSERVED]
    order = (Kind.FAULT_ASKED, Kind.FAULT_APPLIED, Kind.FAULT_UNDONE)
    assert told == [(kind, number) for number in (1, 2, 3) for kind in order]
    assert heard.of(Kind.FAULT_OBSERVED)[-1]["connections"] == 6


def test_abort_ends_a_fault_and_no_further_one_is_placed(rehearse):
    endless, later = {"link": LINK, "latency": "1s"}, {"link": LINK, "latency": "1s", "start": "1s"}
    injectors, safety = [Rehearsed(), Rehearsed()], Journalled()
    schedule, heard = rehearse(*injectors, plan=plan_with(endless, later, fault_s="600s"), safety=safety)

    async def run():
        task = asyncio.create_task(schedule.run())
        await asyncio.sleep(0.2)
        safety.halted, injectors[0].lifted = True, "abort"
        await asyncio.wait_for(task, HANG_GUARD_S)

    asyncio.run(run())
    assert [injector.asked for injector in injectors] == [["apply", "confirm", "undo", "settle"], []]
    assert [note["text"] for note in heard.of(Kind.NOTE)] == [
        "fault-1 was lifted before its time, by the abort",
        "fault-2 is not placed: `harness abort` was called",
    ]


WEAKER = ReadBack(intact=False, found="latency 20 for 1000")


def test_a_fault_is_read_back_before_it_is_undone(rehearse):
    schedule, heard = rehearse(Watched(), plan=short())
    asyncio.run(schedule.run())
    assert heard.of(Kind.FAULT_READ_BACK) == [{"fault": "fault-1", "intact": True, "found": None}]
    kinds = heard.kinds()
    assert kinds.index(Kind.FAULT_READ_BACK) < kinds.index(Kind.FAULT_UNDONE)


@pytest.mark.parametrize(("found", "lifted", "by"), [(GONE, "reaper", "reaper"), (WEAKER, "", "somebody")])
def test_a_fault_that_is_found_changed_is_told_with_its_last_good_sight(found, lifted, by, rehearse, monkeypatch):
    monkeypatch.setattr(schedule_module, "_OBSERVED_POLL_S", 0.05)
    injector = Watched(seen=[AS_ASKED, AS_ASKED, found])
    schedule, heard = rehearse(injector, plan=plan_with({"link": LINK, "latency": "1s", "duration": "400ms"}))
    injector.confirm = lambda: (setattr(injector, "lifted", ""), True)[1]
    injector.read_back = _lifting(injector, lifted)
    asyncio.run(schedule.run())
    changed, last = heard.of(Kind.FAULT_READ_BACK)
    applied_ns = next(event.time_ns for event in heard if event.kind is Kind.FAULT_APPLIED)
    assert (changed["intact"], changed["found"], changed["lifted_by"]) == (False, found.found, by)
    assert changed["last_intact_ns"] > applied_ns
    assert last == changed | {"last_intact_ns": changed["last_intact_ns"]}


def _lifting(injector, by):
    """Return a read-back after whose first bad word the journal names who lifted it."""
    plain = injector.read_back

    def read_back():
        word = plain()
        injector.lifted = "" if word.intact else by
        return word

    return read_back


def test_a_fault_that_comes_back_is_told_too(rehearse, monkeypatch):
    monkeypatch.setattr(schedule_module, "_OBSERVED_POLL_S", 0.05)
    injector = Watched(seen=[AS_ASKED, GONE, AS_ASKED])
    schedule, heard = rehearse(injector, plan=plan_with({"link": LINK, "latency": "1s", "duration": "400ms"}))
    asyncio.run(schedule.run())
    assert [told["intact"] for told in heard.of(Kind.FAULT_READ_BACK)] == [False, True, True]


def test_a_look_that_fails_ends_nothing_and_says_so(rehearse):
    schedule, heard = rehearse(Watched(seen=[ValueError("not JSON")]), plan=short())
    asyncio.run(schedule.run())
    assert heard.of(Kind.FAULT_READ_BACK) == [{"fault": "fault-1", "intact": None, "found": "cannot be read: not JSON"}]


def test_it_is_there_from_when_it_was_placed_not_from_when_that_was_confirmed(rehearse):
    injector = Rehearsed()
    injector.confirm = lambda: time.sleep(0.2) or True
    schedule, heard = rehearse(injector, plan=short())
    asyncio.run(schedule.run())
    asked, applied = (
        next(e.time_ns for e in heard if e.kind is kind) for kind in (Kind.FAULT_ASKED, Kind.FAULT_APPLIED)
    )
    written_ns = next(e.time_ns for e in heard if e.kind is Kind.FAULT_UNDONE)
    assert asked <= applied <= written_ns - 200 * NS_PER_MS


def test_what_cannot_be_made_here_is_not_asked_for(rehearse, monkeypatch):
    schedule, heard = rehearse(Rehearsed(), plan=short())

    def refuse(_fault, _around):
        raise HarnessError("not available on this machine")

    monkeypatch.setattr(schedule_module, "injector_for", refuse)
    with pytest.raises(HarnessError, match="not available"):
        asyncio.run(schedule.run())
    assert heard.kinds() == []
