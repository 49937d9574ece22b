"""Faults on the packets of a link, by the kernel's packet filter (nftables)."""

import re
import secrets
import time

from harness.faults.kinds.injector import AS_ASKED, UNKNOWN, Observed, ReadBack
from harness.faults.kinds.kernel_acts import TABLE_PREFIX, PacketFilterError, TableMade, nft, rules, why_missing
from harness.faults.kinds.standing_fault import StandingFault, now_ns
from harness.faults.proxy.proxy_calls import ProxyCallError, ProxyCalls, ProxyGoneError
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault

_CALL_LIMIT_S = 2.0
_FELT_LIMIT_S = 0.5
_COUNTED = re.compile(r"counter packets (\d+)")
_BURST_BYTES = 256 * 1024
"""Loopback carries segments of up to 64 kB: a smaller burst would let none of them through."""


class KernelFault(StandingFault):
    """The kernel drops packets of a link: a share of them at random, or those beyond a rate.

    Both ways between callers and the fault proxy, which stands for the callee. A rate polices: what exceeds it is
    dropped, and TCP slows down to about that rate. Observed: the kernel counts what it dropped. Rolled
    back: the kernel no longer has the table. Loss is not drawn from the seed: the kernel has its own dice.
    """

    def __init__(self, fault: Fault, *, name: str, api: str, safety: Safety) -> None:
        super().__init__(safety)
        assert fault.link is not None
        self._fault = fault
        self._name = name
        self._api = api
        self._link = fault.link
        self._table = f"{TABLE_PREFIX}{re.sub(r'[^a-z0-9]', '_', name.lower())}_{secrets.token_hex(4)}"
        self._first_ns: int | None = None

    def apply(self) -> None:
        """Find the link's port, journal, make the table."""
        verdict = verdict_of(self._fault)
        if why := why_missing(verdict):
            msg = f"{self._name}: {self._fault.kind} is not available on this machine: {why}"
            raise HarnessError(
                msg, hint="`harness faults` lists what is available; a latency or bandwidth toxic needs no kernel"
            )
        port = self._port()
        self._write(TableMade(self._name, self._link, self._table))
        try:
            nft(rules(self._table, port, verdict), limit_s=_CALL_LIMIT_S)
        except PacketFilterError as problem:
            msg = f"{self._name}: {self._fault.kind} on {self._link}: {problem}"
            raise HarnessError(msg) from None

    def observed(self) -> Observed:
        """Read how many packets the kernel dropped."""
        try:
            printed = nft(f"list table inet {self._table}", limit_s=_FELT_LIMIT_S)
        except PacketFilterError:
            return UNKNOWN
        dropped = sum(int(count) for count in _COUNTED.findall(printed))
        if dropped and self._first_ns is None:
            self._first_ns = now_ns()
        return Observed(touched=dropped, unit="packets dropped", first_observed_ns=self._first_ns)

    def read_back(self) -> ReadBack:
        """Ask the kernel for the table, and whether its rule still stands in it."""
        try:
            printed = nft(f"list table inet {self._table}", limit_s=_FELT_LIMIT_S)
        except PacketFilterError:
            return super().read_back()
        return AS_ASKED if _COUNTED.search(printed) else ReadBack(intact=False, found="the table has no rule")

    def _port(self) -> int:
        try:
            listen = ProxyCalls(self._api, time.monotonic() + _CALL_LIMIT_S).listens_at(self._link)
        except (ProxyCallError, ProxyGoneError) as problem:
            msg = f"{self._name}: the fault proxy does not say where {self._link} listens: {problem}"
            raise HarnessError(msg) from None
        host, _, port = listen.rpartition(":")
        if host not in ("127.0.0.1", "[::1]", "localhost"):
            msg = f"{self._name}: {self._link} listens at {listen!r}: packets are dropped on loopback only"
            raise HarnessError(msg)
        return int(port)


def verdict_of(fault: Fault) -> str:
    """Write what happens to a packet as nft reads it."""
    if fault.packet_loss == 1.0:
        return "counter drop"
    if fault.packet_loss is not None:
        return f"numgen random mod 10000 < {round(fault.packet_loss * 10_000)} counter drop"
    assert fault.kernel_rate is not None
    return f"limit rate over {fault.kernel_rate * 1_000} bytes/second burst {_BURST_BYTES} bytes counter drop"
