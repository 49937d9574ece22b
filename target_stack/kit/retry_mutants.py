"""Retry policies with the flaws that are seen in the field, so that scenarios can show that they notice: for proofs."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from target_stack.kit.protections import Protection
from target_stack.kit.retry import Backoff, RetryPolicy

_FIXED_S = 0.05
_ENDLESS = 1000


@dataclass(frozen=True, slots=True)
class FixedBackoff(Backoff):
    """Always the same pause: whoever failed together comes back together."""

    def delay_s(self, failed_attempts: int, rng: random.Random) -> float:  # noqa: ARG002 - the signature is Backoff's
        """Return the pause."""
        return _FIXED_S


def _endless(policy: RetryPolicy) -> RetryPolicy:
    """Try again for as long as the deadline allows, at nobody's expense."""
    return replace(policy, max_attempts=_ENDLESS, budget=None, budget_of={})


MUTANTS: dict[Protection, Callable[[RetryPolicy], RetryPolicy]] = {
    Protection.RETRY: lambda policy: replace(policy, max_attempts=1),
    Protection.RETRY_BUDGET: lambda policy: replace(policy, budget=None, budget_of={}),
    Protection.RETRY_SHARE: lambda policy: replace(policy, budget_of={}),
    Protection.RETRY_BOUND: _endless,
    Protection.RETRY_JITTER: lambda policy: replace(policy, backoff=FixedBackoff()),
}
"""What becomes of a policy that retries without each of these."""
