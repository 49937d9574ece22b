"""Every kind of fault there is: what it does, where, whether it can be had here, and what makes it real."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from harness.faults.kinds.broker_faults import PoisonFault
from harness.faults.kinds.database_faults import DropIndexFault, HeldFault
from harness.faults.kinds.flag_fault import FlagFault
from harness.faults.kinds.http_faults import RequestFault
from harness.faults.kinds.injector import Injector
from harness.faults.kinds.kernel_acts import why_missing as why_kernel_lacks
from harness.faults.kinds.kernel_faults import LOSS_SAMPLE, RATE_SAMPLE, KernelFault
from harness.faults.kinds.link_faults import DownFault, ToxicFault
from harness.faults.kinds.places import Places
from harness.faults.kinds.process_faults import CpuStressFault, KillFault, LimitFault, PauseFault
from harness.faults.safety.safety import Safety
from harness.model.errors import UsageError
from harness.model.files.faults import HTTP_KINDS, TOXICS, Fault
from harness.model.files.target import Flags
from harness.model.run.capabilities import Capability

Probe = Callable[[], str]
"""Say why a kind is not to be had here; "" where it is."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What makes a fault real besides itself."""

    name: str
    places: Places
    flags: Flags | None
    safety: Safety


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault, as `harness faults` shows it."""

    name: str
    place: str
    does: str
    example: str
    felt: str
    undone: str
    make: Callable[[Fault, Circumstances], Injector]
    missing: Probe = lambda: ""
    platforms: str = "Linux"


def _toxic(fault: Fault, around: Circumstances) -> Injector:
    return ToxicFault(fault, name=around.name, api=around.places.proxy_api, safety=around.safety)


def _down(fault: Fault, around: Circumstances) -> Injector:
    return DownFault(fault, name=around.name, api=around.places.proxy_api, safety=around.safety)


def _request(fault: Fault, around: Circumstances) -> Injector:
    return RequestFault(fault, name=around.name, api=around.places.proxy_api, safety=around.safety)


def _kernel(fault: Fault, around: Circumstances) -> Injector:
    return KernelFault(fault, name=around.name, api=around.places.proxy_api, safety=around.safety)


def _flag(fault: Fault, around: Circumstances) -> Injector:
    assert around.flags is not None
    return FlagFault(fault, name=around.name, places=around.places, flags=around.flags, safety=around.safety)


def _on_service(
    kind: "type[KillFault | PauseFault | CpuStressFault | LimitFault | DropIndexFault | HeldFault | PoisonFault]",
) -> Callable[[Fault, Circumstances], Injector]:
    return lambda fault, around: kind(fault, name=around.name, places=around.places, safety=around.safety)


def _surge(fault: Fault, around: Circumstances) -> Injector:  # noqa: ARG001
    msg = f"{around.name} is a surge: it is part of the load"
    raise ValueError(msg)


def _not_yet(why: str) -> Callable[[Fault, Circumstances], Injector]:
    def make(fault: Fault, around: Circumstances) -> Injector:
        msg = f"{around.name}: {fault.kind} is not to be had here: {why}"
        raise UsageError(msg)

    return make


def _clock_shift_missing() -> str:
    here = shutil.which("faketime") is not None
    return "services would have to be started under libfaketime" if here else "libfaketime is not installed"


_NO_QUOTA = "the embedded databases share one file system; filling it would hurt others"

_PROXY_COUNTS = "the proxy counts connections and bytes"
_RULE_COUNTS = "the proxy counts the requests that the rule touched, by tenant"
_TOXIC_GONE = "the proxy lists the toxic no more; the link is cut, then the proxy reset, if a removal hangs"
_RULE_GONE = "the proxy lists the rule no more; what it held goes on at once"
_HELPER_GONE = "the helper process is gone, and PostgreSQL gave back what it held"
_LINK = "link: orders -> payments"

_TOXIC_TELLS = {
    "latency": ("each chunk arrives later", "latency: {latency: 300ms, jitter: 50ms}"),
    "bandwidth": ("each connection passes so many kB a second", "bandwidth: 10"),
    "slow_close": ("connections close late", "slow_close: 1s"),
    "timeout": ("nothing passes, and connections close after it; 0s: never", "timeout: 5s"),
    "reset_peer": ("connections are reset", "reset_peer: 0s"),
    "slicer": ("data arrives in small pieces", "slicer: {average_size: 64, delay: 5ms}"),
    "limit_data": ("a connection closes after so many bytes", "limit_data: 1000"),
}
_HTTP_TELLS = {
    "delay": (
        "a request waits, as a distribution says",
        "delay: {latency: 300ms, jitter: 100ms, distribution: normal}",
    ),
    "answer": ("the proxy answers in the callee's place", 'answer: {status: 503, headers: {Retry-After: "2"}}'),
    "hang": ("a request is never answered", "hang: true"),
    "reset_request": ("RST before the callee sees the request", "reset_request: true"),
    "lose_reply": ("the callee does its work, the caller gets RST", "lose_reply: true"),
    "truncate": ("the answer's body breaks off after so many bytes", "truncate: 100"),
    "corrupt": ("so many bytes of the answer's body are wrong", "corrupt: 3"),
    "slow_body": ("the answer's body trickles, so many bytes a second", "slow_body: 1000"),
    "null_field": ("a field of the JSON answer is null", "null_field: price_cents"),
    "duplicate": ("the request is sent twice", "duplicate: true"),
}
_SCOPE = "scope: {tenant: acme}"


def _of_toxic(name: str) -> FaultKind:
    does, example = _TOXIC_TELLS[name]
    return FaultKind(name, "link", does, f"{_LINK}, {example}", _PROXY_COUNTS, _TOXIC_GONE, _toxic)


def _of_request(name: str) -> FaultKind:
    does, example = _HTTP_TELLS[name]
    return FaultKind(name, "link (HTTP)", does, f"{_LINK}, {example}, {_SCOPE}", _RULE_COUNTS, _RULE_GONE, _request)


def _of_service(
    name: str, example: str, does: str, felt: str, undone: str, make: Callable[[Fault, Circumstances], Injector]
) -> FaultKind:
    return FaultKind(name, "service", does, f"service: orders, {example}", felt, undone, make)


def _of_database(
    name: str, example: str, does: str, felt: str, undone: str, make: Callable[[Fault, Circumstances], Injector]
) -> FaultKind:
    return FaultKind(name, "database", does, f"service: catalog-db, {example}", felt, undone, make)


_KINDS = (
    *(_of_toxic(name) for name in TOXICS),
    FaultKind(
        "down", "link", "the link refuses connections", f"{_LINK}, down: true",
        "the connections that were open, and are cut", "the proxy says that the link is enabled", _down,
    ),
    *(_of_request(name) for name in HTTP_KINDS),
    _of_service(
        "kill", "kill: true", "SIGKILL of the service's processes",
        "the processes are gone", "the service serves again, by its supervisor or the driver", _on_service(KillFault),
    ),
    _of_service(
        "restart", "restart: true", "SIGTERM: it may drain, and is started again",
        "the processes are gone", "the service serves again, by its supervisor or the driver", _on_service(KillFault),
    ),
    _of_service(
        "pause", "pause: true", "SIGSTOP: it holds its connections and answers nothing",
        "the kernel says that the processes are stopped", "none of them is stopped", _on_service(PauseFault),
    ),
    _of_service(
        "cpu_hog", "cpu_hog: 2", "busy processes on this machine's cores, which everything here feels",
        "the processes run", "they are gone", _on_service(CpuStressFault),
    ),
    _of_service(
        "memory_ceiling", "memory_ceiling: 400MB", "a lower limit on address space",
        "the kernel holds the limit", "the kernel holds the old limit", _on_service(LimitFault),
    ),
    _of_service(
        "descriptor_ceiling", "descriptor_ceiling: 40", "a lower limit on open files and sockets",
        "the kernel holds the limit", "the kernel holds the old limit", _on_service(LimitFault),
    ),
    FaultKind(
        "clock_shift", "service", "the service's clock is off", "service: orders, clock_shift: -1h", "–", "–",
        _not_yet("libfaketime"), _clock_shift_missing, "Linux, libfaketime",
    ),
    _of_database(
        "drop_index", "drop_index: products_by_tenant", "an index is gone",
        "sequential scans of its table", "the index is there again, made from its own definition",
        _on_service(DropIndexFault),
    ),
    _of_database(
        "lock_table", "lock_table: products", "a session holds the table exclusively",
        "sessions that wait for a lock", _HELPER_GONE, _on_service(HeldFault),
    ),
    _of_database(
        "exhaust_connections", "exhaust_connections: true", "no connection is to be had",
        "connections taken", _HELPER_GONE, _on_service(HeldFault),
    ),
    _of_database(
        "terminate_backends", "terminate_backends: 500ms", "every session is ended, again and again",
        "sessions ended", _HELPER_GONE, _on_service(HeldFault),
    ),
    FaultKind(
        "disk_full", "database", "the database cannot write", "service: orders-db, disk_full: true", "–", "–",
        _not_yet(_NO_QUOTA), lambda: _NO_QUOTA,
    ),
    FaultKind(
        "poison", "broker", "messages that no consumer can digest, in a stream of NATS",
        'service: broker, poison: {subject: orders.acme.confirmed, body: "not json", count: 3}',
        "the broker counts how often they were delivered", "the stream holds none of them any more",
        _on_service(PoisonFault),
    ),
    FaultKind(
        "flag", "flag", "a feature flag has another value", "flag: {name: catalog.canary, value: 100}",
        "the flag's own service holds the value", "the old value is read back", _flag,
    ),
    *(
        FaultKind(
            name, "link", does, f"{_LINK}, {example}", "the kernel counts the packets that it dropped",
            "the kernel knows the table no more", _kernel, partial(why_kernel_lacks, sample),
            "Linux, root (CAP_NET_ADMIN), nftables",
        )
        for name, does, example, sample in (
            ("packet_loss", "the kernel drops packets at random, both ways", "packet_loss: 5%", LOSS_SAMPLE),
            ("kernel_rate", "the kernel drops what exceeds so many kB a second", "kernel_rate: 100", RATE_SAMPLE),
        )
    ),
    FaultKind(
        "surge", "load", "a tenant sends so many times its share", "surge: {tenant: globex, times: 20}",
        "arrivals that were sent", "the load is the planned one again", _surge,
    ),
)  # fmt: skip

CATALOGUE: Mapping[str, FaultKind] = {kind.name: kind for kind in _KINDS}
"""All kinds, by name, in the order in which people ask for them."""


def injector_for(fault: Fault, around: Circumstances) -> Injector:
    """Return what makes *fault* real; ValueError for a surge, which the load makes."""
    return CATALOGUE[fault.kind].make(fault, around)


def needs_of(fault: Fault) -> tuple[Capability, ...]:
    """Return what *fault* needs of the driver."""
    return NEEDS.get(fault.kind, ())


NEEDS: Mapping[str, tuple[Capability, ...]] = {
    **dict.fromkeys((*TOXICS, "down"), (Capability.FAULT_PROXY,)),
    **dict.fromkeys(HTTP_KINDS, (Capability.FAULT_PROXY, Capability.REQUEST_RULES)),
    **dict.fromkeys(("packet_loss", "kernel_rate"), (Capability.FAULT_PROXY, Capability.PACKET_FILTER)),
    "kill": (Capability.KILL,),
    "restart": (Capability.RESTART,),
    "pause": (Capability.PAUSE,),
    "cpu_hog": (Capability.CPU_LIMIT,),
    "memory_ceiling": (Capability.MEMORY_LIMIT,),
    "descriptor_ceiling": (Capability.FD_LIMIT,),
    "clock_shift": (Capability.CLOCK_SHIFT,),
    "disk_full": (Capability.DISK_QUOTA,),
    **dict.fromkeys(
        ("drop_index", "lock_table", "exhaust_connections", "terminate_backends"), (Capability.DATABASE_ACCESS,)
    ),
    "poison": (Capability.BROKER_ACCESS,),
    "flag": (Capability.FLAG_ACCESS,),
}
"""What each kind needs of the driver; a surge needs nothing: the load makes it."""


def why_missing(fault: Fault) -> str:
    """Say why *fault* cannot be had on this machine; "" where it can."""
    return CATALOGUE[fault.kind].missing()
