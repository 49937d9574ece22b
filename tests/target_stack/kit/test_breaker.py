"""The breaker against a slow, obvious model of itself, and against mutants that must not pass."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from target_stack.kit.breaker import (
    Breaker,
    BreakerChanged,
    BreakerOpenError,
    BreakerRefusal,
    BreakerSettings,
    BreakerState,
)

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN
SETTINGS = BreakerSettings(
    window_s=10.0,
    buckets=10,
    min_calls=4,
    failure_rate=0.5,
    slow_call_s=1.0,
    slow_rate=0.75,
    open_s=2.0,
    max_open_s=8.0,
    probe_lease_s=5.0,
)


class Scene:
    """A breaker, its clock and what it said."""

    def __init__(self, clock, kind=Breaker, settings=SETTINGS) -> None:
        self.clock = clock
        self.events = []
        self.breaker = kind("a -> b", settings, clock, self.events.append)

    @property
    def changes(self):
        return [(event.before, event.after) for event in self.events if isinstance(event, BreakerChanged)]

    def fail(self, times=1):
        for _ in range(times):
            self.breaker.acquire().failed()

    def succeed(self, times=1):
        for _ in range(times):
            self.breaker.acquire().succeeded()

    def refuses(self) -> bool:
        try:
            self.breaker.acquire().abandoned()
        except BreakerOpenError:
            return True
        return False


@pytest.fixture
def scene(clock):
    return Scene(clock)


def test_too_few_calls_decide_nothing(scene):
    scene.fail(SETTINGS.min_calls - 1)
    assert scene.breaker.state is CLOSED


def test_a_failure_rate_at_its_bound_opens(scene):
    scene.succeed(3)
    scene.fail(2)
    assert scene.breaker.state is CLOSED
    scene.fail(1)
    assert (scene.breaker.state, scene.changes) == (OPEN, [(CLOSED, OPEN)])


def test_scattered_failures_open_as_well_as_consecutive_ones(scene):
    for _ in range(2):
        scene.succeed()
        scene.fail()
    assert scene.breaker.state is OPEN


def test_failures_that_left_the_window_no_longer_count(scene):
    scene.fail(3)
    scene.clock.advance(SETTINGS.window_s)
    scene.fail(1)
    assert scene.breaker.state is CLOSED


def test_slow_successes_open(scene):
    for _ in range(4):
        permit = scene.breaker.acquire()
        scene.clock.advance(SETTINGS.slow_call_s)
        permit.succeeded()
    assert scene.breaker.state is OPEN


def test_an_open_breaker_says_when_to_come_back(scene):
    scene.fail(4)
    scene.clock.advance(0.5)
    with pytest.raises(BreakerOpenError) as refusal:
        scene.breaker.acquire()
    assert refusal.value.retry_after_s == pytest.approx(1.5)
    assert scene.events[-1] == BreakerRefusal("a -> b")


def test_one_good_probe_closes(scene):
    scene.fail(4)
    scene.clock.advance(2)
    scene.succeed()
    assert scene.changes == [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)]


def test_of_fifty_concurrent_calls_one_is_the_probe(scene):
    scene.fail(4)
    scene.clock.advance(2)
    let_through = 0
    for _ in range(50):
        try:
            scene.breaker.acquire()
            let_through += 1
        except BreakerOpenError:
            pass
    assert let_through == 1


def test_failed_probes_double_the_open_time_up_to_its_bound(scene):
    scene.fail(4)
    open_times_s = []
    for _ in range(4):
        opened_s = scene.clock.now_s
        while scene.refuses():
            scene.clock.advance(0.25)
        open_times_s.append(scene.clock.now_s - opened_s)
        scene.fail()
    assert open_times_s == [2, 4, 8, 8]


def test_the_open_time_starts_anew_after_closing(scene):
    scene.fail(4)
    scene.clock.advance(2)
    scene.fail()
    scene.clock.advance(4)
    scene.succeed()
    scene.fail(4)
    scene.clock.advance(2)
    assert not scene.refuses()


def test_a_slow_probe_is_a_bad_one(scene):
    scene.fail(4)
    scene.clock.advance(2)
    probe = scene.breaker.acquire()
    scene.clock.advance(SETTINGS.slow_call_s)
    probe.succeeded()
    assert scene.breaker.state is OPEN


def test_an_abandoned_probe_frees_the_gate_for_the_next(scene):
    scene.fail(4)
    scene.clock.advance(2)
    scene.breaker.acquire().abandoned()
    scene.succeed()
    assert scene.breaker.state is CLOSED


def test_a_probe_that_never_reports_loses_its_lease_and_its_say(scene):
    scene.fail(4)
    scene.clock.advance(2)
    lost = scene.breaker.acquire()
    scene.clock.advance(SETTINGS.probe_lease_s)
    second = scene.breaker.acquire()
    lost.succeeded()
    assert scene.breaker.state is HALF_OPEN
    second.failed()
    assert scene.breaker.state is OPEN


def test_a_success_from_before_the_opening_closes_nothing(scene):
    early = scene.breaker.acquire()
    scene.fail(4)
    scene.clock.advance(2)
    probe = scene.breaker.acquire()
    early.succeeded()
    assert scene.breaker.state is HALF_OPEN
    probe.failed()
    assert scene.breaker.state is OPEN


def test_failures_from_before_the_closing_open_nothing(scene):
    early = [scene.breaker.acquire() for _ in range(10)]
    scene.fail(4)
    scene.clock.advance(2)
    scene.succeed()
    for permit in early:
        permit.failed()
    assert scene.breaker.state is CLOSED


def test_cancellations_by_the_caller_are_no_evidence(scene):
    for _ in range(100):
        scene.breaker.acquire().abandoned()
    assert scene.breaker.state is CLOSED


def test_calls_given_up_after_the_time_of_a_slow_call_open_it(scene):
    for _ in range(SETTINGS.min_calls):
        permit = scene.breaker.acquire()
        scene.clock.advance(SETTINGS.slow_call_s)
        permit.abandoned()
    assert scene.breaker.state is OPEN


def test_a_probe_given_up_after_the_time_of_a_slow_call_was_a_bad_one(scene):
    scene.fail(4)
    scene.clock.advance(SETTINGS.open_s)
    probe = scene.breaker.acquire()
    scene.clock.advance(SETTINGS.slow_call_s)
    probe.abandoned()
    assert scene.breaker.state is OPEN


def test_a_permit_reports_once(scene):
    permit = scene.breaker.acquire()
    for _ in range(10):
        permit.failed()
    assert scene.breaker.state is CLOSED


@dataclass
class ModelPermit:
    real: object
    era: int
    started_s: float


class BreakerMachine(RuleBasedStateMachine):
    """Arbitrary interleavings of callers; the model keeps every result of the era in a list."""

    kind = Breaker
    permits = Bundle("permits")
    make_clock = None

    def __init__(self) -> None:
        super().__init__()
        self.clock = type(self).make_clock()
        self.scene = Scene(self.clock, type(self).kind)
        self.state, self.era = CLOSED, 0
        self.results: list[tuple[int, bool, bool]] = []
        self.open_s, self.open_until_s = SETTINGS.open_s, 0.0
        self.probe: ModelPermit | None = None

    @rule(seconds=st.sampled_from([0.125, 0.5, 1.0, 2.0, 5.0]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule(target=permits)
    def call(self):
        permit = self._call()
        return multiple() if permit is None else permit

    @rule(permit=consumes(permits))
    def succeed(self, permit):
        self._finish(permit, failed=False)

    @rule(permit=consumes(permits))
    def fail(self, permit):
        self._finish(permit, failed=True)

    @rule(permit=consumes(permits))
    def abandon(self, permit):
        self._abandon(permit)

    @rule(failed=st.lists(st.booleans(), min_size=2, max_size=6))
    def a_burst_of_calls(self, failed):
        for each in failed:
            if permit := self._call():
                self._finish(permit, failed=each)

    @rule(calls=st.integers(2, 5))
    def a_burst_of_cancellations(self, calls):
        for _ in range(calls):
            if permit := self._call():
                self._abandon(permit)

    @rule(target=permits)
    def an_outage_until_the_first_probe(self):
        for _ in range(SETTINGS.min_calls * 2):
            if permit := self._call():
                self._finish(permit, failed=True)
        self.clock.advance(self.open_s)
        permit = self._call()
        return multiple() if permit is None else permit

    @invariant()
    def states_agree(self):
        assert self.scene.breaker.state is self.state

    def _call(self):
        expected = self._model_acquire()
        try:
            real = self.scene.breaker.acquire()
        except BreakerOpenError:
            assert not expected, "refused a call that should go through"
            return None
        assert expected, "let a call through that should be refused"
        permit = ModelPermit(real, self.era, self.clock.now_s)
        if self.state is HALF_OPEN:
            self.probe = permit
        return permit

    def _finish(self, permit, *, failed):
        (permit.real.failed if failed else permit.real.succeeded)()
        self._model_judge(permit, failed=failed)

    def _abandon(self, permit):
        permit.real.abandoned()
        if self.clock.now_s - permit.started_s >= SETTINGS.slow_call_s:
            self._model_judge(permit, failed=False)
        if permit is self.probe:
            self.probe = None

    def _model_acquire(self) -> bool:
        now_s = self.clock.now_s
        if self.state is OPEN and now_s >= self.open_until_s:
            self._model_change(HALF_OPEN)
        if self.state is HALF_OPEN:
            if self.probe is not None and now_s < self.probe.started_s + SETTINGS.probe_lease_s:
                return False
            self.era += 1
            return True
        return self.state is CLOSED

    def _model_judge(self, permit, *, failed):
        if permit.era != self.era:
            return
        slow = self.clock.now_s - permit.started_s >= SETTINGS.slow_call_s
        if self.state is HALF_OPEN:
            self.open_s = min(self.open_s * 2, SETTINGS.max_open_s) if failed or slow else SETTINGS.open_s
            self._model_change(OPEN if failed or slow else CLOSED)
            return
        self.results.append((math.floor(self.clock.now_s), failed, slow))
        recent = [each for each in self.results if each[0] > math.floor(self.clock.now_s) - SETTINGS.window_s]
        share_failed = sum(each[1] for each in recent) / len(recent)
        share_slow = sum(each[2] for each in recent) / len(recent)
        if len(recent) >= SETTINGS.min_calls and (share_failed >= 0.5 or share_slow >= 0.75):
            self._model_change(OPEN)

    def _model_change(self, state):
        self.state, self.probe, self.results = state, None, []
        self.era += 1
        if state is OPEN:
            self.open_until_s = self.clock.now_s + self.open_s


class Ungated(Breaker):
    def _gate_is_free(self, now_s):
        return True


class ConsecutiveOnly(Breaker):
    in_a_row = 0

    def judge(self, permit, *, failed):
        self.in_a_row = self.in_a_row + 1 if failed else 0
        super().judge(permit, failed=failed)

    def _rates_are_too_high(self, now_s):
        return self.in_a_row >= self._settings.min_calls


class CountsCancellations(Breaker):
    def forget(self, permit):
        self.judge(permit, failed=True)


class BelievesStaleResults(Breaker):
    def _is_stale(self, permit):
        return False


class NeverTakesTheLeaseBack(Breaker):
    def _gate_is_free(self, now_s):
        return self._probe is None


class KeepsTheGateAfterCancellation(Breaker):
    def forget(self, permit):
        pass


class ForgetsWhatWasGivenUp(Breaker):
    def forget(self, permit):
        if permit is self._probe:
            self._probe = None


class IgnoresSlowCalls(Breaker):
    def judge(self, permit, *, failed):
        permit.started_s = self._clock.monotonic_s()
        super().judge(permit, failed=failed)


def run_machine(kind, make_clock, *, shrink: bool) -> None:
    machine = type("Machine", (BreakerMachine,), {"kind": kind, "make_clock": make_clock})
    phases = tuple(Phase) if shrink else (Phase.generate,)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_breaker_does_what_the_model_does(make_clock):
    run_machine(Breaker, make_clock, shrink=True)


@pytest.mark.parametrize(
    "mutant",
    [
        Ungated,
        ConsecutiveOnly,
        CountsCancellations,
        BelievesStaleResults,
        NeverTakesTheLeaseBack,
        KeepsTheGateAfterCancellation,
        ForgetsWhatWasGivenUp,
        IgnoresSlowCalls,
    ],
)
def test_the_model_catches_the_mutant(mutant, make_clock):
    with pytest.raises(AssertionError):
        run_machine(mutant, make_clock, shrink=False)
