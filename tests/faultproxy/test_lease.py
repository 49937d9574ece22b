"""The lease against a turned clock."""

from dataclasses import dataclass, field

from harness.faultproxy.lease import Lease, LeaseReport


@dataclass
class TurnedClock:
    now: float = 0.0
    calls: list = field(default_factory=list)

    def now_s(self):
        return self.now

    def unix_ns(self):
        return int(self.now * 1e9)

    def call_at(self, due_s, callback):
        call = [due_s, callback]
        self.calls.append(call)

        class Timer:
            def cancel(self):
                call[1] = None

        return Timer()

    def turn_to(self, now):
        while due := [call for call in self.calls if call[1] and call[0] <= now]:
            first = min(due, key=lambda call: call[0])
            self.calls.remove(first)
            self.now = max(self.now, first[0])
            first[1]()
        self.now = now


def leased():
    clock, healed = TurnedClock(), []
    return clock, healed, Lease(clock, heal=lambda: healed.append(clock.now))


def test_nothing_happens_without_a_lease():
    clock, healed, lease = leased()
    clock.turn_to(1000)
    assert (healed, lease.report()) == ([], LeaseReport(None, None, 0, None))


def test_renewal_in_time_heals_nothing():
    clock, healed, lease = leased()
    for now in range(0, 100, 4):
        clock.turn_to(now)
        lease.renew(5)
    assert (healed, lease.report()) == ([], LeaseReport(5, 5, 0, None))


def test_lapse_heals_and_is_recorded_once_and_goes_on_healing():
    clock, healed, lease = leased()
    lease.renew(5)
    clock.turn_to(16)
    assert (healed, lease.report()) == ([5, 10, 15], LeaseReport(5, None, 1, 5_000_000_000))


def test_renewal_after_a_lapse_holds_again():
    clock, healed, lease = leased()
    lease.renew(5)
    clock.turn_to(6)
    lease.renew(10)
    clock.turn_to(15)
    assert (healed, lease.report()) == ([5], LeaseReport(10, 1, 1, 5_000_000_000))
    clock.turn_to(17)
    assert (healed, lease.report()) == ([5, 16], LeaseReport(10, None, 2, 16_000_000_000))


def test_an_ended_lease_never_heals():
    clock, healed, lease = leased()
    lease.renew(5)
    lease.end()
    clock.turn_to(100)
    assert (healed, lease.report()) == ([], LeaseReport(None, None, 0, None))
