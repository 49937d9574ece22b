"""Toxiproxy's HTTP API, and the harness's own paths under /harness/."""

import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from harness.faultproxy.errors import ApiError, bad_request_body, missing_field
from harness.faultproxy.fields import Fields, parse_json
from harness.faultproxy.http.link_request import parse_link
from harness.faultproxy.http.wire import parse_rule
from harness.faultproxy.http_server import Request, Response
from harness.faultproxy.lease import Lease
from harness.faultproxy.metrics import render_metrics
from harness.faultproxy.proxies import Proxies, ProxyRequest, parse_proxy_request
from harness.faultproxy.proxy import Proxy
from harness.faultproxy.toxic import parse_toxic_request

TOXIPROXY_VERSION = "2.12.0"
LONGEST_LEASE_S = 86_400.0

Operation = Callable[..., Awaitable[Response]]


class Api:
    """Answers requests. Nothing here waits for traffic; only host names are waited for."""

    def __init__(self, proxies: Proxies, lease: Lease) -> None:
        self._proxies = proxies
        self._lease = lease
        update_proxy, update_toxic = self.update_proxy, self.update_toxic
        self._routes: dict[tuple[str, ...], dict[str, Operation]] = {
            ("version",): {"GET": self.version},
            ("metrics",): {"GET": self.metrics},
            ("reset",): {"POST": self.reset},
            ("populate",): {"POST": self.populate},
            ("proxies",): {"GET": self.list_proxies, "POST": self.create_proxy},
            ("proxies", "*"): {
                "GET": self.show_proxy, "POST": update_proxy, "PATCH": update_proxy, "DELETE": self.delete_proxy
            },
            ("proxies", "*", "toxics"): {"GET": self.list_toxics, "POST": self.create_toxic},
            ("proxies", "*", "toxics", "*"): {
                "GET": self.show_toxic, "POST": update_toxic, "PATCH": update_toxic, "DELETE": self.delete_toxic
            },
            ("harness", "observed"): {"GET": self.observed},
            ("harness", "links"): {"GET": self.links},
            ("harness", "links", "*"): {"PUT": self.describe_link},
            ("harness", "rules"): {"GET": self.list_rules, "POST": self.create_rule},
            ("harness", "rules", "*"): {"GET": self.show_rule, "DELETE": self.delete_rule},
            ("harness", "lease"): {"GET": self.show_lease, "POST": self.renew_lease, "DELETE": self.end_lease},
        }  # fmt: skip

    async def handle(self, request: Request) -> Response:
        """Answer one request; whatever goes wrong becomes a response."""
        if request.headers.get("user-agent", "").startswith("Mozilla/"):
            return _plain(403, "User agent not allowed\n")
        route, names = _route_of(request.path)
        if route not in self._routes:
            return _plain(404, "404 page not found\n")
        operation = self._routes[route].get(request.method)
        if operation is None:
            return Response(405)
        try:
            return await operation(request, *names)
        except ApiError as problem:
            return _error(problem)
        except Exception as problem:  # noqa: BLE001  one bad request must not end the server; the caller is told
            traceback.print_exc(file=sys.stderr)
            return _error(ApiError(f"internal error: {problem}", 500))

    # -- Toxiproxy -----------------------------------------------------------------------------------------------------

    async def version(self, _: Request) -> Response:
        """The version of Toxiproxy whose contract this is, and who keeps it."""
        body = {"version": TOXIPROXY_VERSION, "server": "harness.faultproxy"}
        return Response(200, json.dumps(body).encode() + b"\n", "application/json;charset=utf-8")

    async def metrics(self, _: Request) -> Response:
        """Prometheus text."""
        text = render_metrics(self._proxies.sorted())
        return Response(200, text.encode(), "text/plain; version=0.0.4; charset=utf-8")

    async def reset(self, _: Request) -> Response:
        """Remove all toxics, enable all proxies, forget what was observed; go on past a proxy that cannot start."""
        problems = await self._proxies.heal()
        self._proxies.forget_observed()
        if problems:
            raise problems[0]
        return Response(204)

    async def populate(self, request: Request) -> Response:
        """Create, keep or replace proxies; those that stand are listed even if a later one failed."""
        done: list[Proxy] = []
        problem: ApiError | None = None
        try:
            await self._proxies.populate(parse_population(parse_json(request.body)), done.append)
        except ApiError as raised:
            problem = raised
        complaint = {"error": problem.message, "status": problem.status} if problem else {}
        shown = [proxy.as_json() for proxy in done] or (None if problem else [])
        return _json({**complaint, "proxies": shown}, problem.status if problem else 201)

    async def list_proxies(self, _: Request) -> Response:
        """All proxies by name."""
        return _json({proxy.name: proxy.as_json() for proxy in self._proxies.sorted()})

    async def create_proxy(self, request: Request) -> Response:
        """Create one."""
        proxy = await self._proxies.create(parse_proxy_request(parse_json(request.body)))
        return _json(proxy.as_json(), 201)

    async def show_proxy(self, _: Request, name: str) -> Response:
        """One proxy."""
        return _json(self._proxies.get(name).as_json())

    async def update_proxy(self, request: Request, name: str) -> Response:
        """Change listen, upstream, enabled."""
        self._proxies.get(name)
        return _json((await self._proxies.update(name, Fields(parse_json(request.body)))).as_json())

    async def delete_proxy(self, _: Request, name: str) -> Response:
        """Delete one."""
        self._proxies.remove(name)
        return Response(204)

    async def list_toxics(self, _: Request, name: str) -> Response:
        """Its toxics, upstream first."""
        return _json([toxic.as_json() for toxic in self._proxies.get(name).toxics()])

    async def create_toxic(self, request: Request, name: str) -> Response:
        """Add a toxic."""
        proxy = self._proxies.get(name)
        return _json(proxy.add_toxic(parse_toxic_request(Fields(parse_json(request.body)))).as_json())

    async def show_toxic(self, _: Request, name: str, toxic: str) -> Response:
        """One toxic."""
        return _json(self._proxies.get(name).toxic(toxic).as_json())

    async def update_toxic(self, request: Request, name: str, toxic: str) -> Response:
        """Change attributes and toxicity."""
        proxy = self._proxies.get(name)
        proxy.toxic(toxic)
        return _json(proxy.update_toxic(toxic, Fields(parse_json(request.body))).as_json())

    async def delete_toxic(self, _: Request, name: str, toxic: str) -> Response:
        """Remove a toxic."""
        self._proxies.get(name).remove_toxic(toxic)
        return Response(204)

    # -- the harness's own ---------------------------------------------------------------------------------------------

    async def observed(self, _: Request) -> Response:
        """Per toxic and rule what it touched; outlives its removal until reset or re-creation."""
        return _json(self._proxies.observed())

    async def links(self, _: Request) -> Response:
        """Per proxy the live counters, and whether it sees single requests."""
        return _json(self._proxies.links())

    async def describe_link(self, request: Request, name: str) -> Response:
        """Say what a link speaks; connections that open from now on can be seen into."""
        proxy = self._proxies.get(name)
        proxy.http.describe(parse_link(parse_json(request.body)))
        return _json(proxy.http.as_json())

    async def list_rules(self, _: Request) -> Response:
        """All rules."""
        return _json([rule.as_json() for rule in self._proxies.rules()])

    async def create_rule(self, request: Request) -> Response:
        """Make a rule."""
        rule = parse_rule(parse_json(request.body))
        self._proxies.add_rule(rule)
        return _json(rule.as_json(), 201)

    async def show_rule(self, _: Request, name: str) -> Response:
        """One rule."""
        return _json(self._proxies.rule(name).as_json())

    async def delete_rule(self, _: Request, name: str) -> Response:
        """Delete one."""
        self._proxies.remove_rule(name)
        return Response(204)

    async def show_lease(self, _: Request) -> Response:
        """The lease and its lapses."""
        return _json(asdict(self._lease.report()))

    async def renew_lease(self, request: Request) -> Response:
        """Take or renew the lease."""
        fields = Fields(parse_json(request.body))
        lease_s = fields.number("lease_s", default=0)
        if lease_s == 0:
            raise missing_field("lease_s")
        if not 0 < lease_s <= LONGEST_LEASE_S:
            raise bad_request_body(f"lease_s must lie between 0 and {LONGEST_LEASE_S:g}, not {lease_s}")
        self._lease.renew(float(lease_s))
        return _json(asdict(self._lease.report()))

    async def end_lease(self, _: Request) -> Response:
        """Give the lease back, without effect on faults."""
        self._lease.end()
        return Response(204)


def parse_population(raw: object) -> list[ProxyRequest]:
    """Read the list of proxies of /populate and of the config file. Raises ApiError (400)."""
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise bad_request_body("expected an array of proxies")
    requests = [parse_proxy_request(item, where=f" at proxy {place}") for place, item in enumerate(raw, start=1)]
    names = [request.name for request in requests]
    for name in names:
        if names.count(name) > 1:
            raise bad_request_body(f"duplicate proxy name {name!r}")
    return requests


def _route_of(path: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a path into its pattern and the names in it: /proxies/a/toxics/b is (proxies * toxics *) and (a, b)."""
    if "" in path:
        return path, ()
    if path[:1] == ("harness",) and len(path) == 3:
        return (*path[:2], "*"), path[2:]
    if path[:1] != ("proxies",):
        return path, ()
    pattern = tuple("*" if place % 2 else part for place, part in enumerate(path))
    return pattern, path[1::2]


def _json(value: object, status: int = 200) -> Response:
    return Response(status, json.dumps(value, separators=(",", ":")).encode())


def _plain(status: int, text: str) -> Response:
    return Response(status, text.encode(), "text/plain; charset=utf-8", {"X-Content-Type-Options": "nosniff"})


def _error(problem: ApiError) -> Response:
    text = json.dumps({"error": problem.message, "status": problem.status}, separators=(",", ":"))
    return _plain(problem.status, text + "\n")
