"""Breakers with the flaws that libraries have, so that scenarios can show that they notice: for proofs only."""

from target_stack.kit.breaker import Breaker, Permit
from target_stack.kit.protections import Protection

CONSECUTIVE = 10


class UngatedBreaker(Breaker):
    """Half-open it lets everybody through at once, not one probe."""

    def _gate_is_free(self, now_s: float) -> bool:  # noqa: ARG002 - the signature is the breaker's
        return True

    def _let_probe_through(self, now_s: float) -> Permit:
        return Permit(self, self._generation, now_s)


class ConsecutiveBreaker(Breaker):
    """It counts failures in a row only: a callee that fails two calls of three may go on for ever."""

    _in_a_row = 0

    def judge(self, permit: Permit, *, failed: bool) -> None:
        """Take the result into account; a success forgives all failures before it."""
        if not self._is_stale(permit):
            self._in_a_row = self._in_a_row + 1 if failed else 0
        super().judge(permit, failed=failed)

    def _rates_are_too_high(self, now_s: float) -> bool:  # noqa: ARG002 - likewise
        return self._in_a_row >= CONSECUTIVE


class CancelCountingBreaker(Breaker):
    """It takes a caller who stopped waiting for a failure of the callee."""

    def forget(self, permit: Permit) -> None:
        """Count the call as failed."""
        super().forget(permit)
        self.judge(permit, failed=True)


class ForgetfulBreaker(Breaker):
    """It forgets whatever was given up, however slow it had been by then."""

    def forget(self, permit: Permit) -> None:
        """Free the gate, and count nothing."""
        if permit is self._probe:
            self._probe = None


MUTANTS: dict[Protection, type[Breaker]] = {
    Protection.BREAKER_GATE: UngatedBreaker,
    Protection.BREAKER_RATE: ConsecutiveBreaker,
    Protection.BREAKER_CANCEL: CancelCountingBreaker,
    Protection.BREAKER_SLOW: ForgetfulBreaker,
}
