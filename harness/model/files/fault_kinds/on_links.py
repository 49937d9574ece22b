"""Faults on every connection of a link: toxics of the proxy, a link that is down, packets that the kernel drops."""

from harness.model.files.fault_kinds.row import FaultKind, Option, Place
from harness.model.run.capabilities import Capability

_ON = "link: orders -> payments"
_TOXIC = frozenset({Option.TOXICITY, Option.STREAM, Option.REPEAT})


def _toxic(
    name: str, does: str, example: str, *, spec: str, shorthand: str, also: tuple[Option, ...] = ()
) -> FaultKind:
    return FaultKind(
        name=name,
        place=Place.LINK,
        does=does,
        example=f"{_ON}, {example}",
        observed="the proxy counts connections and bytes",
        rolled_back="the proxy no longer lists the toxic; if a removal hangs, the link is cut, then the proxy reset",
        make="harness.faults.kinds.makers:toxic",
        acts=("harness.faults.kinds.link_acts:ToxicPlaced",),
        spec=f"harness.model.files.fault_specs:{spec}",
        shorthand=shorthand,
        options=_TOXIC.union(also),
        needs=(Capability.FAULT_PROXY,),
    )


TOXICS = (
    _toxic(
        "latency", "each chunk arrives later", "latency: {latency: 300ms, jitter: 50ms}",
        spec="Latency", shorthand="latency", also=(Option.SCOPE, Option.RAMP),
    ),
    _toxic(
        "bandwidth", "each connection carries at most this many kB a second", "bandwidth: 10",
        spec="Bandwidth", shorthand="rate", also=(Option.RAMP,),
    ),
    _toxic("slow_close", "connections close late", "slow_close: 1s", spec="SlowClose", shorthand="delay"),
    _toxic(
        "timeout", "no data passes, and connections close after the timeout; 0s: never", "timeout: 5s",
        spec="Timeout", shorthand="timeout",
    ),
    _toxic("reset_peer", "connections are reset", "reset_peer: 0s", spec="ResetPeer", shorthand="timeout"),
    _toxic(
        "slicer", "data arrives in small pieces", "slicer: {average_size: 64, delay: 5ms}",
        spec="Slicer", shorthand="average_size",
    ),
    _toxic(
        "limit_data", "a connection closes after this many bytes", "limit_data: 1000",
        spec="LimitData", shorthand="bytes",
    ),
)  # fmt: skip

DOWN = FaultKind(
    name="down",
    place=Place.LINK,
    does="the link refuses connections",
    example=f"{_ON}, down: true",
    observed="the connections that were open are cut",
    rolled_back="the proxy says that the link is enabled",
    make="harness.faults.kinds.makers:down",
    acts=("harness.faults.kinds.link_acts:LinkDown",),
    needs=(Capability.FAULT_PROXY,),
)


def _kernel(name: str, does: str, example: str, *, spec: str, missing: str) -> FaultKind:
    return FaultKind(
        name=name,
        place=Place.LINK,
        does=does,
        example=f"{_ON}, {example}",
        observed="the kernel counts the packets that it dropped",
        rolled_back="the kernel no longer has the table",
        make="harness.faults.kinds.makers:kernel",
        acts=("harness.faults.kinds.kernel_acts:TableMade",),
        spec=spec,
        needs=(Capability.FAULT_PROXY, Capability.PACKET_FILTER),
        missing=f"harness.faults.kinds.kernel_acts:{missing}",
        platforms="Linux, root (CAP_NET_ADMIN), nftables",
    )


KERNEL = (
    _kernel(
        "packet_loss", "the kernel drops packets at random, both ways", "packet_loss: 5%",
        spec="harness.model.files.units:Share", missing="why_no_loss",
    ),
    _kernel(
        "kernel_rate", "the kernel drops what exceeds this many kB a second", "kernel_rate: 100",
        spec="pydantic:PositiveInt", missing="why_no_rate",
    ),
)  # fmt: skip
