"""The collection of proxies and what the API can ask of it as a whole."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from harness.faultproxy.address import AddressError, Endpoint, listen_endpoint, split_address
from harness.faultproxy.direction import Direction
from harness.faultproxy.errors import (
    ApiError,
    bad_request_body,
    missing_field,
    proxy_exists,
    proxy_not_found,
    rule_exists,
    rule_not_found,
)
from harness.faultproxy.fields import Fields
from harness.faultproxy.http.wire import RuleRequest
from harness.faultproxy.proxy import Plant, Proxy, ProxyChange
from harness.faultproxy.toxic import ToxicRequest, parse_toxic_request


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """A proxy that was asked for, checked as far as that is possible without opening a socket."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[ToxicRequest, ...] = ()


def parse_proxy_request(raw: object, *, where: str = "") -> ProxyRequest:
    """Read a proxy; *where* (" at proxy 2") goes into complaints. Raises ApiError (400)."""
    fields = Fields(raw)
    name, upstream = fields.text("name"), fields.text("upstream")
    if not name:
        raise missing_field(f"name{where}")
    if not upstream:
        raise missing_field(f"upstream{where}")
    check_upstream(upstream)
    toxics = tuple(parse_toxic_request(Fields(toxic)) for toxic in fields.array("toxics"))
    for toxic in toxics:
        toxic.build()
    if len({toxic.name for toxic in toxics}) < len(toxics):
        raise bad_request_body(f"two toxics of proxy {name} have the same name")
    return ProxyRequest(name, fields.text("listen"), upstream, fields.flag("enabled", default=True), toxics)


def check_upstream(upstream: str) -> None:
    """Raise ApiError (400) unless *upstream* is host:port; Toxiproxy notices at the first client only."""
    try:
        _, port = split_address(upstream)
    except AddressError as problem:
        raise bad_request_body(f"upstream: {problem}") from None
    if not port:
        raise bad_request_body(f"upstream: address {upstream}: missing port in address")


class Proxies:
    """All proxies of one process, by name."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._by_name: dict[str, Proxy] = {}

    def get(self, name: str) -> Proxy:
        """Return the proxy of this name or raise ApiError (404)."""
        if name not in self._by_name:
            raise proxy_not_found()
        return self._by_name[name]

    def sorted(self) -> list[Proxy]:
        """Return all proxies by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    async def create(self, request: ProxyRequest) -> Proxy:
        """Create a proxy with its toxics, listening if enabled. Raises ApiError (409 name taken, 500 cannot listen)."""
        endpoint = await self._endpoint(request)
        if request.name in self._by_name:
            raise proxy_exists()
        return self._add(request, endpoint)

    async def populate(self, requests: Sequence[ProxyRequest], report: Callable[[Proxy], None]) -> None:
        """Create, keep or replace each; *report* each as soon as it stands.

        A proxy whose addresses match is kept as it is, toxics and state. Stops with ApiError (500) at the first that
        cannot listen; one that would have been replaced then stays.
        """
        endpoints = [await listen_endpoint(request.listen) for request in requests]
        for request, endpoint in zip(requests, endpoints, strict=True):
            existing = self._by_name.get(request.name)
            if existing and existing.listen == str(endpoint) and existing.upstream == request.upstream:
                report(existing)
            else:
                report(self._replace(existing, request, endpoint))

    def _replace(self, existing: Proxy | None, request: ProxyRequest, endpoint: Endpoint) -> Proxy:
        if existing is None:
            return self._add(request, endpoint)
        was_enabled, was_listening_at = existing.enabled, existing.listen
        if was_enabled and was_listening_at == str(endpoint):
            existing.stop_listening()  # the newcomer wants the same port
        try:
            created = self._add(request, endpoint)
        except ApiError:
            if was_enabled:
                existing.enable(endpoint)
            raise
        existing.close()
        return created

    def _add(self, request: ProxyRequest, endpoint: Endpoint | None) -> Proxy:
        proxy = Proxy(self._plant, request.name, listen=request.listen, upstream=request.upstream)
        for toxic in request.toxics:
            proxy.add_toxic(toxic)
        if request.enabled and endpoint is not None:
            proxy.enable(endpoint)
        self._by_name[proxy.name] = proxy
        return proxy

    async def _endpoint(self, request: ProxyRequest) -> Endpoint | None:
        return await listen_endpoint(request.listen) if request.enabled else None

    async def update(self, name: str, fields: Fields) -> Proxy:
        """Change what *fields* names; raises ApiError (404, 400, 500) and then nothing changed."""
        proxy = self.get(name)
        change = ProxyChange(
            listen=fields.text("listen", default=proxy.listen),
            upstream=fields.text("upstream", default=proxy.upstream),
            enabled=fields.flag("enabled", default=proxy.enabled),
        )
        check_upstream(change.upstream)
        endpoint = await listen_endpoint(change.listen)
        if not self._is_here(proxy):
            raise proxy_not_found()
        proxy.update(change, endpoint)
        return proxy

    def _is_here(self, proxy: Proxy) -> bool:
        """Somebody may have deleted it while a name was looked up; opening it then would leave a port behind."""
        return self._by_name.get(proxy.name) is proxy

    def remove(self, name: str) -> None:
        """Delete a proxy and close its connections. Raises ApiError (404)."""
        self.get(name).close()
        del self._by_name[name]

    async def heal(self) -> list[ApiError]:
        """Remove all toxics and rules, then enable all proxies; return why some could not be enabled."""
        problems = []
        for proxy in self.sorted():
            proxy.remove_all_toxics()
            proxy.http.remove_all()
        for proxy in self.sorted():
            try:
                await self._enable(proxy)
            except ApiError as problem:
                print(f"proxy {proxy.name}: cannot enable: {problem}", file=sys.stderr)
                problems.append(problem)
        return problems

    async def _enable(self, proxy: Proxy) -> None:
        if not proxy.enabled:
            endpoint = await listen_endpoint(proxy.listen)
            if self._is_here(proxy):
                proxy.enable(endpoint)

    def is_healthy(self) -> bool:
        """Tell whether no proxy has a toxic or a rule, or is disabled."""
        return all(proxy.enabled and not proxy.toxics() and not proxy.http.rules for proxy in self._by_name.values())

    def forget_observed(self) -> None:
        """Start the evidence anew."""
        for proxy in self._by_name.values():
            proxy.observed.clear()
            proxy.http.observed.clear()

    def observed(self) -> dict[str, dict[str, dict[str, object]]]:
        """Return per proxy, and toxic or rule, what it touched."""
        return {proxy.name: _observed(proxy) for proxy in self.sorted()}

    # -- rules -------------------------------------------------------------------------------------------------------

    def rules(self) -> list[RuleRequest]:
        """Return every rule, by proxy and age."""
        return [rule.request for proxy in self.sorted() for rule in proxy.http.rules.values()]

    def rule(self, name: str) -> RuleRequest:
        """Return the rule of this name. Raises ApiError (404)."""
        return self._proxy_with_rule(name).http.rules[name].request

    def add_rule(self, request: RuleRequest) -> None:
        """Make a rule. Raises ApiError: 404 for its proxy, 409 for a taken name or a link that cannot be seen into."""
        proxy = self.get(request.proxy)
        if any(request.name == rule.name for rule in self.rules()) or any(
            request.name == toxic.name for toxic in proxy.toxics()
        ):
            raise rule_exists()
        proxy.observed.pop(request.name, None)  # of a toxic that is gone: the name tells of the rule now
        proxy.http.add(request)

    def remove_rule(self, name: str) -> None:
        """Remove a rule; what it held goes on at once. Raises ApiError (404)."""
        self._proxy_with_rule(name).http.remove(name)

    def _proxy_with_rule(self, name: str) -> Proxy:
        for proxy in self._by_name.values():
            if name in proxy.http.rules:
                return proxy
        raise rule_not_found()

    # -- view --------------------------------------------------------------------------------------------------------

    def links(self) -> dict[str, dict[str, object]]:
        """Return per proxy its live counters, and whether it sees single requests."""
        return {proxy.name: _link_counters(proxy) for proxy in self.sorted()}

    def close(self) -> None:
        """Close everything."""
        for proxy in self._by_name.values():
            proxy.close()


def _observed(proxy: Proxy) -> dict[str, dict[str, object]]:
    return {**{name: asdict(observed) for name, observed in proxy.observed.items()}, **proxy.http.observed_json()}


def _link_counters(proxy: Proxy) -> dict[str, object]:
    up = proxy.links.traffic(Direction.UPSTREAM, proxy.connections)
    down = proxy.links.traffic(Direction.DOWNSTREAM, proxy.connections)
    return {
        "open_connections": len(proxy.connections),
        "total_connections": proxy.links.total_connections,
        "bytes_up": up.sent_bytes,
        "bytes_down": down.sent_bytes,
        "refused_upstream_dials": proxy.links.refused_upstream_dials,
        **proxy.http.as_json(),
    }
