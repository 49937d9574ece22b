"""Faults on single requests of a link: a rule in the embedded proxy, which sees HTTP, tenants and traces."""

import time
from typing import Any

from harness.faults.kinds.injector import AS_ASKED, GONE, UNKNOWN, Observed, ReadBack
from harness.faults.kinds.link_acts import RulePlaced
from harness.faults.kinds.standing_fault import StandingFault
from harness.faults.proxy.proxy_calls import ProxyCallError, ProxyCalls, ProxyGoneError
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault

_APPLY_LIMIT_S = 2.0
_FELT_LIMIT_S = 0.5
_RULES = {"respond": "answer", "black_hole": "hang"}
"""What the proxy calls a kind, where that differs."""


class RequestFault(StandingFault):
    """A rule in the proxy of a link.

    Observed: the proxy counts every request that the rule touched. Rolled back: the rule is removed, and the
    proxy no longer lists it; the requests that it held continue at once.
    """

    def __init__(self, fault: Fault, *, name: str, api: str, safety: Safety) -> None:
        super().__init__(safety)
        assert fault.link is not None
        self._api = api
        self._name = name
        self._proxy = fault.link
        self._listed: dict[str, Any] | None = None
        self._rule = {"name": name, "proxy": fault.link, "scope": scope_of(fault), "action": action_of(fault)}

    def apply(self) -> None:
        """Journal, then make the rule."""
        self._write(RulePlaced(self._name, self._api, self._proxy, self._name))
        try:
            ProxyCalls(self._api, time.monotonic() + _APPLY_LIMIT_S).add_rule(self._rule)
        except (ProxyCallError, ProxyGoneError) as problem:
            msg = f"{self._name}: the proxy does not take the rule: {problem}"
            raise HarnessError(
                msg, hint="a fault on requests needs the embedded proxy, and a link it can see into"
            ) from None

    def read_back(self) -> ReadBack:
        """Compare the rule that the proxy lists with the one that it listed first."""
        try:
            rules = ProxyCalls(self._api, time.monotonic() + _FELT_LIMIT_S).rules()
        except (ProxyCallError, ProxyGoneError) as problem:
            return ReadBack(None, str(problem))
        listed = next((rule for rule in rules if rule.get("name") == self._name), None)
        self._listed = self._listed or listed
        if listed is None:
            return GONE
        return AS_ASKED if listed == self._listed else ReadBack(intact=False, found=f"another rule: {listed}")

    def observed(self) -> Observed:
        """Ask the proxy how many requests the rule touched."""
        try:
            counted = ProxyCalls(self._api, time.monotonic() + _FELT_LIMIT_S).observed() or {}
        except (ProxyCallError, ProxyGoneError):
            return UNKNOWN
        rule = counted.get(self._proxy, {}).get(self._name)
        if rule is None:
            return UNKNOWN
        tenants = tuple(sorted(rule.get("tenants", {}).items()))
        return Observed(
            rule.get("connections", -1), -1, rule["first_observed_unix_ns"], requests=rule["requests"], tenants=tenants
        )


def scope_of(fault: Fault) -> dict[str, Any]:
    """Write a scope as the proxy reads it."""
    return {} if fault.scope is None else _plain(fault.scope)


def action_of(fault: Fault) -> dict[str, Any]:
    """Write what happens to a request as the proxy reads it: times in seconds, sizes in bytes."""
    kind = fault.kind
    if kind == "delay":
        delay = fault.request_delay
        assert delay is not None
        action = {"latency_s": delay.latency, "jitter_s": delay.jitter, "distribution": delay.distribution}
        return {"type": kind, **action, **({"ramp_s": fault.ramp} if fault.ramp else {})}
    given, rule = getattr(fault, kind), _RULES.get(kind, kind)
    return {"type": rule} if given is True else {"type": rule, **_plain(given)}


def _plain(spec: Any) -> dict[str, Any]:
    """Return the fields that are given, as numbers and text rather than as YAML writes them."""
    return {name: value for name in type(spec).model_fields if (value := getattr(spec, name)) not in (None, {})}
