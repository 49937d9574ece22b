"""Faults on a link, by way of the fault proxy: toxics, and links that are down."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.faults.kinds.injector import AS_ASKED, GONE, UNKNOWN, Observed, ReadBack
from harness.faults.kinds.link_acts import LinkDown, ToxicPlaced
from harness.faults.proxy.proxy_calls import ProxyCallError, ProxyCalls, ProxyGoneError
from harness.faults.proxy.toxiproxy_client import Toxic, ToxiproxyClient
from harness.faults.safety.journal import Entry
from harness.faults.safety.safety import Safety, Token
from harness.faults.safety.undo import undo_faults
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault

_FELT_LIMIT_S = 0.5
_GROW_LIMIT_S = 1.0
_LEAST_RAMP_SHARE = 0.05


class ToxicFault:
    """A toxic in the proxy of a link."""

    def __init__(self, fault: Fault, *, name: str, api: str, safety: Safety) -> None:
        assert fault.link is not None
        self._act = ToxicPlaced(name, api, fault.link, name)
        self._full = toxic_of(fault, name)
        self._ramp_s = fault.ramp
        self._toxic = _scaled(self._full, 0.0) if fault.ramp else self._full
        self._client = ToxiproxyClient(api)
        self._lease = _Written(safety)

    def apply(self) -> None:
        """Journal, then place the toxic."""
        self._lease.write(self._act)
        self._client.add_toxic(self._act.proxy, self._toxic)

    def grow(self, age_s: float) -> None:
        """Bring a toxic with a ramp to the size that it should have by now."""
        grown = _scaled(self._full, min(1.0, age_s / self._ramp_s)) if self._ramp_s else self._full
        if grown != self._toxic:
            calls = ProxyCalls(self._act.api, time.monotonic() + _GROW_LIMIT_S)
            try:
                calls.update_toxic(self._act.proxy, self._act.toxic, grown.attributes)
            except (ProxyCallError, ProxyGoneError) as problem:
                msg = f"{self._act.fault}: the toxic cannot grow: {problem}"
                raise HarnessError(msg) from None
            self._toxic = grown

    def confirm(self) -> bool:
        """Compare what the proxy holds with what was asked; it may have added attributes of its own."""
        held = self._client.toxic(self._act.proxy, self._act.toxic)
        asked = self._toxic
        return (
            held is not None
            and (held.type, held.stream, held.toxicity) == (asked.type, asked.stream, asked.toxicity)
            and asked.attributes.items() <= held.attributes.items()
        )

    def read_back(self) -> ReadBack:
        """Compare type, stream, toxicity and attributes with what was asked for by now."""
        calls = ProxyCalls(self._act.api, time.monotonic() + _FELT_LIMIT_S)
        try:
            held = calls.toxic(self._act.proxy, self._act.toxic)
        except (ProxyCallError, ProxyGoneError) as problem:
            return ReadBack(None, str(problem))
        return GONE if held is None else _compared(held, self._toxic)

    def observed(self) -> Observed:
        """Ask the embedded proxy; a foreign Toxiproxy does not count."""
        counted = _ask(self._act.api, ProxyCalls.observed)
        toxic = (counted or {}).get(self._act.proxy, {}).get(self._act.toxic)
        if toxic is None:
            return UNKNOWN
        return Observed(toxic["connections"], toxic["bytes"], toxic["first_observed_unix_ns"])

    def undo(self) -> str:
        """Remove it and look."""
        return self._lease.undo(self._act)

    def settle(self) -> None:
        """Strike it from the journal."""
        self._lease.settle()

    def lifted_by(self) -> str:
        """Look into the journal, then at the proxy."""
        held = _ask(self._act.api, lambda calls: calls.has_toxic(self._act.proxy, self._act.toxic))
        return self._lease.lifted_by(held=held)


class DownFault:
    """A link that refuses connections."""

    def __init__(self, fault: Fault, *, name: str, api: str, safety: Safety) -> None:
        assert fault.link is not None
        self._act = LinkDown(name, api, fault.link)
        self._client = ToxiproxyClient(api)
        self._lease = _Written(safety)
        self._cut = UNKNOWN

    def apply(self) -> None:
        """Journal, then disable the proxy; the connections that are open now are cut."""
        open_connections = self._open_connections()
        self._lease.write(self._act)
        applied_ns = time.time_ns()
        self._client.disable(self._act.proxy)
        if open_connections > 0:
            self._cut = Observed(open_connections, -1, applied_ns)

    def confirm(self) -> bool:
        """Read that the link is down."""
        return not self._client.is_enabled(self._act.proxy)

    def read_back(self) -> ReadBack:
        """Read whether the link is still down."""
        down = self._act.is_there()
        if down is None:
            return ReadBack(None, "the proxy does not answer")
        return AS_ASKED if down else ReadBack(intact=False, found="the link is enabled")

    def observed(self) -> Observed:
        """Return the connections that were cut; refused ones are the kernel's answer, and nobody counts them."""
        return self._cut

    def undo(self) -> str:
        """Enable it and look."""
        return self._lease.undo(self._act)

    def settle(self) -> None:
        """Strike it from the journal."""
        self._lease.settle()

    def lifted_by(self) -> str:
        """Look into the journal, then at the proxy."""
        down = _ask(self._act.api, lambda calls: not calls.is_enabled(self._act.proxy))
        return self._lease.lifted_by(held=down)

    def _open_connections(self) -> int:
        counted = _ask(self._act.api, ProxyCalls.links)
        return int((counted or {}).get(self._act.proxy, {}).get("open_connections", -1))


class _Written:
    """A fault's journal entry."""

    def __init__(self, safety: Safety) -> None:
        self._safety = safety
        self._token: Token | None = None
        self._is_undone = False

    def write(self, act: ToxicPlaced | LinkDown) -> None:
        self._token = self._safety.write(act)

    def undo(self, act: ToxicPlaced | LinkDown) -> str:
        """Undo with the reaper's own code; nothing was done before it was written."""
        if self._token is None:
            return ""
        (undone,) = undo_faults([Entry(self._token, act)])
        self._is_undone = undone.confirmed
        return undone.cause

    def settle(self) -> None:
        """Mark as done what was undone."""
        if self._token is not None and self._is_undone:
            self._safety.done(self._token)

    def lifted_by(self, *, held: bool | None) -> str:
        """Tell from the journal, and from what the proxy says it holds (None: it does not answer)."""
        if self._token is None:
            return ""
        if by := self._safety.lifted_by(self._token):
            return by
        return "somebody" if held is False else ""


def toxic_of(fault: Fault, name: str) -> Toxic:
    """Write a fault in Toxiproxy's units: milliseconds, kB/s, bytes; microseconds between slices."""
    kind = fault.toxic
    assert kind is not None
    return Toxic(name, kind, fault.stream, fault.toxicity, _ATTRIBUTES[kind](getattr(fault, kind)))


def _compared(held: dict[str, Any], asked: Toxic) -> ReadBack:
    """Compare what the proxy lists with a toxic; it may have added attributes of its own."""
    attributes = held.get("attributes") or {}
    wanted = {"type": asked.type, "stream": asked.stream, "toxicity": asked.toxicity, **asked.attributes}
    there = {name: held.get(name, attributes.get(name)) for name in wanted}
    other = ", ".join(f"{name} {there[name]} for {wanted[name]}" for name in wanted if there[name] != wanted[name])
    return ReadBack(intact=not other, found=other)


def _scaled(toxic: Toxic, share: float) -> Toxic:
    """Return a toxic during its ramp: a share of its latency, or a multiple of its rate, 20 times at first."""
    if toxic.type == "bandwidth":
        return replace(toxic, attributes={"rate": round(toxic.attributes["rate"] / max(share, _LEAST_RAMP_SHARE))})
    return replace(toxic, attributes={name: round(value * share) for name, value in toxic.attributes.items()})


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)


_ATTRIBUTES: dict[str, Callable[[Any], dict[str, int]]] = {
    "latency": lambda spec: {"latency": _ms(spec.latency), "jitter": _ms(spec.jitter)},
    "bandwidth": lambda spec: {"rate": spec.rate},
    "slow_close": lambda spec: {"delay": _ms(spec.delay)},
    "timeout": lambda spec: {"timeout": _ms(spec.timeout)},
    "reset_peer": lambda spec: {"timeout": _ms(spec.timeout)},
    "slicer": lambda spec: {
        "average_size": spec.average_size,
        "size_variation": spec.size_variation,
        "delay": round(spec.delay * 1_000_000),
    },
    "limit_data": lambda spec: {"bytes": spec.bytes},
}


def _ask(api: str, question: Callable[[ProxyCalls], Any]) -> Any:
    """Ask the proxy something that only informs; None where it does not answer."""
    try:
        return question(ProxyCalls(api, time.monotonic() + _FELT_LIMIT_S))
    except (ProxyCallError, ProxyGoneError):
        return None
