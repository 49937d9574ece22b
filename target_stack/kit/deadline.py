"""A deadline: the moment after which nobody waits for the answer. It travels as the milliseconds that remain."""

import math
from dataclasses import dataclass

from target_stack.kit.clock import Clock

DEADLINE_HEADER = "x-deadline-ms"
ANSWER_MARGIN_S = 0.04
"""What a caller keeps back of its own deadline, so that it can still answer when its callee did not."""


class DeadlineExceededError(Exception):
    """The work was given up because its deadline had passed."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock; infinity when nobody set one."""

    expires_s: float
    clock: Clock

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> "Deadline":
        """Return the deadline *seconds* from now."""
        return cls(clock.monotonic_s() + seconds, clock)

    @classmethod
    def unlimited(cls, clock: Clock) -> "Deadline":
        """Return a deadline that never comes."""
        return cls(math.inf, clock)

    def remaining_s(self) -> float:
        """Return the seconds left, never less than zero."""
        return max(0.0, self.expires_s - self.clock.monotonic_s())

    def remaining_ms(self) -> int | None:
        """Return the whole milliseconds left as the header carries them; None without a limit."""
        return None if math.isinf(self.expires_s) else int(self.remaining_s() * 1000)

    def passed(self) -> bool:
        """Tell whether the moment has come."""
        return self.remaining_s() <= 0

    def bound(self, timeout_s: float) -> float:
        """Return *timeout_s*, or what the deadline leaves of it; raise DeadlineExceededError when that is nothing."""
        left_s = self.remaining_s() - ANSWER_MARGIN_S
        if left_s <= 0:
            raise DeadlineExceededError
        return min(timeout_s, left_s)


def parse_remaining_ms(raw: str | None) -> float | None:
    """Return the seconds that a deadline header leaves; None when it is absent or no number (a bad hint is no hint)."""
    if raw is None or not raw.isascii() or not raw.isdigit() or len(raw) > 9:
        return None
    return int(raw) / 1000
