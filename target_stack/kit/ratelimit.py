"""Rate limit: one token bucket a key, so that one tenant's surplus never takes from another's share."""

from collections import OrderedDict
from dataclasses import dataclass

from target_stack.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class Rate:
    """A steady rate and how much may come at once."""

    per_s: float
    burst: float


@dataclass(frozen=True, slots=True)
class RateLimited:
    """A request of *tenant* was over its rate."""

    tenant: str


class TokenBucket:
    """Holds at most `burst` tokens and gains `per_s` of them each second."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = rate.burst
        self._filled_s = clock.monotonic_s()

    def take(self) -> float:
        """Take one token and return 0.0, or return the seconds until there will be one."""
        now_s = self._clock.monotonic_s()
        self._tokens = min(self._rate.burst, self._tokens + (now_s - self._filled_s) * self._rate.per_s)
        self._filled_s = now_s
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate.per_s


class RateLimiter:
    """A bucket for each key, of which the least recently used are forgotten beyond `max_keys`."""

    def __init__(self, clock: Clock, max_keys: int = 4096) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str, rate: Rate) -> float:
        """Take one token of *key* and return 0.0, or return the seconds until there will be one."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(rate, self._clock)
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take()


def parse_rates(raw: str) -> dict[str, Rate]:
    """Parse "gold=60:60,silver=40:40" (plan = a second : burst); raise ValueError when it is anything else."""
    rates: dict[str, Rate] = {}
    for part in raw.split(","):
        plan, equals, numbers = part.strip().partition("=")
        per_s, colon, burst = numbers.partition(":")
        if not (plan and equals and colon):
            msg = f"expected rates such as 'gold=60:60,silver=40:40', got {raw!r}"
            raise ValueError(msg)
        rates[plan] = Rate(float(per_s), float(burst))
    return rates
