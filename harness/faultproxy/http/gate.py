"""A request that is held before its callee sees it."""

from dataclasses import dataclass, field

from harness.faultproxy.http.actions import Answer, Delay, Duplicate, Hang, ResetRequest
from harness.faultproxy.http.framing import Body, RequestHead
from harness.faultproxy.http.rule import Claim

_KEEP_ORDER = (Delay, Hang)  # everything else must know which reply belongs to the request


@dataclass(slots=True)
class HeldRequest:
    """The head of a claimed request, what is to be done to it, and until when it waits."""

    head: RequestHead
    body: Body | None
    claims: list[Claim]
    tenant: str | None
    arrived_s: float
    delays: list[tuple[Claim, float]] = field(default_factory=list)

    def draw_delays(self) -> None:
        """Decide, once, how long each delay is."""
        for claim in self.claims:
            if isinstance(claim.rule.action, Delay):
                drawn_s = claim.rule.action.draw_s(claim.random(), age_s=claim.rule.age_s)
                self.delays.append((claim, drawn_s))

    @property
    def due_s(self) -> float:
        """When it may go on; delays of rules that are gone count no more."""
        return self.arrived_s + sum(delay_s for claim, delay_s in self.delays if claim.rule.is_alive)

    @property
    def hangs(self) -> bool:
        """Whether it goes nowhere as long as some rule is there."""
        return any(isinstance(claim.rule.action, Hang) for claim in self.alive())

    @property
    def needs_order(self) -> bool:
        """Whether all earlier replies must be through first."""
        return any(not isinstance(claim.rule.action, _KEEP_ORDER) for claim in self.alive())

    def alive(self) -> list[Claim]:
        """Return the claims of rules that are still there."""
        return [claim for claim in self.claims if claim.rule.is_alive]

    def verdict(self) -> Claim | None:
        """Return the first rule that lets the callee see nothing of it, if there is one."""
        return next((c for c in self.alive() if isinstance(c.rule.action, Answer | ResetRequest)), None)

    def duplicate(self) -> Claim | None:
        """Return the rule that wants it sent twice, if that can be done."""
        if not self.head.keeps_alive or "expect" in self.head.fields:
            return None
        return next((claim for claim in self.alive() if isinstance(claim.rule.action, Duplicate)), None)
