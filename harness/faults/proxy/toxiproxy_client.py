"""A thin coat over toxiproxy-python: one address per client, a time limit on every call, usable from any thread.

The library keeps host and port in class attributes, and calls without a time limit. Both are set under one lock here.
"""

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from toxiproxy import Toxiproxy
from toxiproxy import api as toxiproxy_api
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists
from toxiproxy.proxy import Proxy

from harness.model.errors import TargetError

_ResultT = TypeVar("_ResultT")
_CALL_LIMIT_S = 1.0
_ONE_AT_A_TIME = threading.Lock()


class _TimedRequests:
    """Stands in for the module `requests` within the library; also raises for the errors that it passes over."""

    def get(self, **arguments: Any) -> requests.Response:
        return self._call("GET", arguments)

    def post(self, **arguments: Any) -> requests.Response:
        return self._call("POST", arguments)

    def delete(self, **arguments: Any) -> requests.Response:
        return self._call("DELETE", arguments)

    def _call(self, method: str, arguments: dict[str, Any]) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the environment has no business between us and 127.0.0.1
            answer = session.request(method, timeout=_CALL_LIMIT_S, **arguments)
        if answer.status_code >= http.client.INTERNAL_SERVER_ERROR:
            answer.raise_for_status()
        return answer


toxiproxy_api.requests = _TimedRequests()


@dataclass(frozen=True, slots=True)
class Toxic:
    """A toxic as Toxiproxy has it; attribute values are integers in its own units."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: dict[str, int]


@dataclass(frozen=True, slots=True)
class ToxiproxyClient:
    """Calls to the Toxiproxy at *api* (host:port). Every failure is a TargetError that names the call."""

    api: str

    def add_toxic(self, proxy: str, toxic: Toxic) -> None:
        """Place a toxic."""
        arguments = {"type": toxic.type, "name": toxic.name, "stream": toxic.stream}
        self._call(
            f"add toxic {toxic.name} to {proxy}",
            lambda: self._proxy(proxy).add_toxic(**arguments, toxicity=toxic.toxicity, attributes=toxic.attributes),
        )

    def toxic(self, proxy: str, name: str) -> Toxic | None:
        """Return a toxic as the proxy has it; None where it has none of that name."""
        found = self._call(f"read toxics of {proxy}", lambda: self._proxy(proxy).get_toxic(name))
        return found and Toxic(found.name, found.type, found.stream, found.toxicity, dict(found.attributes))

    def disable(self, proxy: str) -> None:
        """Close a link: connections end, new ones are refused."""
        self._call(f"disable {proxy}", lambda: self._proxy(proxy).disable())

    def is_enabled(self, proxy: str) -> bool:
        """Say whether a link takes connections."""
        return bool(self._call(f"read {proxy}", lambda: self._proxy(proxy).enabled))

    def _proxy(self, name: str) -> Proxy:
        found = Toxiproxy().get_proxy(name)
        if found is None:
            raise NotFound(f"no proxy is called {name!r}")
        return found

    def _call(self, what: str, call: Callable[[], _ResultT]) -> _ResultT:
        host, _, port = self.api.rpartition(":")
        with _ONE_AT_A_TIME:
            Toxiproxy().update_api_consumer(host, int(port))
            try:
                return call()
            except (requests.RequestException, InvalidToxic, NotFound, ProxyExists, ValueError, KeyError) as problem:
                msg = f"fault proxy {self.api}: cannot {what}: {_words_of(problem)}"
                raise TargetError(msg, hint="is the proxy running, and does its version fit?") from None


def _words_of(problem: Exception) -> str:
    content = problem.args[0] if problem.args else ""
    return content.decode(errors="replace").strip() if isinstance(content, bytes) else str(problem)
