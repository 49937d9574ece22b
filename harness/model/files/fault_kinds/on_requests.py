"""Faults on single requests of a link: rules of the embedded proxy, which sees HTTP, tenants and traces."""

from harness.model.files.fault_kinds.row import FaultKind, Option, Place
from harness.model.run.capabilities import Capability


def _rule(
    name: str,
    does: str,
    example: str,
    *,
    spec: str = "",
    shorthand: str = "",
    also: tuple[Option, ...] = (),
    formerly: tuple[str, ...] = (),
) -> FaultKind:
    return FaultKind(
        name=name,
        place=Place.REQUEST,
        does=does,
        example=f"link: orders -> payments, {example}, scope: {{tenant: acme}}",
        observed="the proxy counts the requests that the rule touched, by tenant",
        rolled_back="the proxy no longer lists the rule; the requests that it held continue at once",
        make="harness.faults.kinds.makers:request",
        acts=("harness.faults.kinds.link_acts:RulePlaced",),
        spec=spec and f"harness.model.files.fault_specs:{spec}",
        shorthand=shorthand,
        options=frozenset({Option.SCOPE, Option.REPEAT}).union(also),
        needs=(Capability.FAULT_PROXY, Capability.REQUEST_RULES),
        formerly=formerly,
    )


REQUESTS = (
    _rule(
        "delay", "a request waits for a time drawn from a distribution",
        "delay: {latency: 300ms, jitter: 100ms, distribution: normal}",
        spec="Delay", shorthand="latency", also=(Option.RAMP,),
    ),
    _rule(
        "respond", "the proxy responds in the callee's place", 'respond: {status: 503, headers: {Retry-After: "2"}}',
        spec="Respond", formerly=("answer",),
    ),
    _rule("black_hole", "the request never gets an answer", "black_hole: true", formerly=("hang",)),
    _rule("reset_request", "RST before the callee sees the request", "reset_request: true"),
    _rule("lose_reply", "the callee does its work, the caller gets RST", "lose_reply: true"),
    _rule(
        "truncate", "the body of the answer ends after this many bytes", "truncate: 100",
        spec="Truncate", shorthand="bytes",
    ),
    _rule(
        "corrupt", "this many bytes of the answer's body are wrong", "corrupt: 3", spec="Corrupt", shorthand="bytes"
    ),
    _rule(
        "slow_body", "the body of the answer arrives at this many bytes a second", "slow_body: 1000",
        spec="SlowBody", shorthand="rate",
    ),
    _rule(
        "null_field", "a field of the JSON answer is null", "null_field: price_cents",
        spec="NullField", shorthand="path",
    ),
    _rule("duplicate", "the request is sent twice, and the first answer returned", "duplicate: true"),
)  # fmt: skip
