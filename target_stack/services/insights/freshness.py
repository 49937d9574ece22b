"""How old the read side's answers are: by what it has applied and when the broker last said there was no more."""

from target_stack.kit.clock import Clock


class Freshness:
    """`as_of_ns` is a moment up to which every event of the stream has been settled here; None before the first.

    A dead broker lets it stand still, so that the age of the answers grows. What waits in the outboxes of others is
    not in the stream and cannot be known here.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._as_of_ns: int | None = None
        self._waiting: dict[int, int] = {}

    def start_from(self, as_of_ns: int | None) -> None:
        """Take over what was known before a restart."""
        self._as_of_ns = as_of_ns

    @property
    def as_of_ns(self) -> int | None:
        """The moment, in UTC nanoseconds; an event that has to wait holds it back."""
        oldest_ns = min(self._waiting.values(), default=None)
        if self._as_of_ns is None or oldest_ns is None:
            return self._as_of_ns
        return min(self._as_of_ns, oldest_ns)

    @property
    def staleness_ms(self) -> int | None:
        """The age of that moment; None as long as nothing is known."""
        as_of_ns = self.as_of_ns
        return None if as_of_ns is None else max(0, (self._clock.unix_ns() - as_of_ns) // 1_000_000)

    def delivered(self, sequence: int, stored_ns: int, *, settled: bool) -> None:
        """Hear that a message was settled, or will come again."""
        if not settled:
            self._waiting[sequence] = stored_ns
            return
        self._waiting.pop(sequence, None)
        self._as_of_ns = max(self._as_of_ns or 0, stored_ns)

    def caught_up(self, at_ns: int) -> None:
        """Hear that at *at_ns* every message of the stream was settled."""
        self._waiting.clear()
        self._as_of_ns = max(self._as_of_ns or 0, at_ns)
