"""The few calls that undo faults in a proxy: each with a time limit, and with no import that the reaper cannot afford.

Applying faults goes through toxiproxy-python (`toxiproxy_client.py`); undoing must start quickly and never hang.
"""

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

CALL_LIMIT_S = 0.7
_SHORTEST_CALL_S = 0.05


class ProxyGoneError(Exception):
    """Nothing listens there: a proxy that is gone holds no fault."""


class ProxyCallError(Exception):
    """The proxy did not answer in time, or refused."""


@dataclass(frozen=True, slots=True)
class ProxyCalls:
    """Calls to one proxy's API until *deadline_s* of the monotonic clock; after it each still gets a last short try."""

    api: str
    deadline_s: float

    def remove_toxic(self, proxy: str, toxic: str) -> None:
        """Remove a toxic; one that is not there is fine."""
        self._call("DELETE", f"/proxies/{quote(proxy, safe='')}/toxics/{quote(toxic, safe='')}")

    def update_toxic(self, proxy: str, toxic: str, attributes: dict[str, int]) -> None:
        """Change a toxic's attributes."""
        path = f"/proxies/{quote(proxy, safe='')}/toxics/{quote(toxic, safe='')}"
        self._call("POST", path, {"attributes": attributes})

    def has_toxic(self, proxy: str, toxic: str) -> bool:
        """Say whether the proxy still holds this toxic."""
        return self.toxic(proxy, toxic) is not None

    def toxic(self, proxy: str, toxic: str) -> dict[str, Any] | None:
        """Return a toxic as the proxy lists it; None where it has none of that name."""
        listed = self._call("GET", f"/proxies/{quote(proxy, safe='')}/toxics") or []
        return next((item for item in listed if item.get("name") == toxic), None)

    def add_rule(self, rule: dict[str, Any]) -> None:
        """Make a rule for single requests in the embedded proxy."""
        self._call("POST", "/harness/rules", rule)

    def remove_rule(self, name: str) -> None:
        """Remove a rule; one that is not there is fine."""
        self._call("DELETE", f"/harness/rules/{quote(name, safe='')}")

    def has_rule(self, name: str) -> bool:
        """Say whether the proxy still holds this rule."""
        return any(rule.get("name") == name for rule in self.rules())

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules for single requests; none where the proxy knows no such thing."""
        listed = self._call("GET", "/harness/rules") or []
        return list(listed.get("rules", []) if isinstance(listed, dict) else listed)

    def set_enabled(self, proxy: str, *, enabled: bool) -> None:
        """Disable or enable a proxy; one that is not there is fine."""
        self._call("POST", f"/proxies/{quote(proxy, safe='')}", {"enabled": enabled})

    def is_enabled(self, proxy: str) -> bool:
        """Say whether a proxy takes connections; one that is not there is not in anybody's way."""
        shown = self._call("GET", f"/proxies/{quote(proxy, safe='')}")
        return shown is None or bool(shown.get("enabled"))

    def listens_at(self, proxy: str) -> str:
        """Return host:port where callers find this proxy; "" where there is no such proxy."""
        shown = self._call("GET", f"/proxies/{quote(proxy, safe='')}")
        return "" if shown is None else str(shown.get("listen", ""))

    def reset(self) -> None:
        """Remove all toxics and enable all proxies."""
        self._call("POST", "/reset")

    def renew_lease(self, lease_s: float) -> None:
        """Let the embedded proxy drop its faults by itself unless this is called again within *lease_s*."""
        self._call("POST", "/harness/lease", {"lease_s": lease_s})

    def observed(self) -> dict[str, Any] | None:
        """Return what each toxic touched; None where the proxy does not count it."""
        counted: dict[str, Any] | None = self._call("GET", "/harness/observed")
        return counted

    def links(self) -> dict[str, Any] | None:
        """Return the live counters of each link; None where the proxy does not count them."""
        counted: dict[str, Any] | None = self._call("GET", "/harness/links")
        return counted

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON; None for 404 and for an empty answer."""
        limit_s = max(_SHORTEST_CALL_S, min(CALL_LIMIT_S, self.deadline_s - time.monotonic()))
        host, _, port = self.api.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=limit_s)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body))
            answer = connection.getresponse()
            content = answer.read()
        except ConnectionRefusedError:
            raise ProxyGoneError(self.api) from None
        except (OSError, http.client.HTTPException) as problem:
            msg = f"proxy {self.api}: {method} {path}: {problem or type(problem).__name__}"
            raise ProxyCallError(msg) from None
        finally:
            connection.close()
        return self._read(answer.status, content, f"{method} {path}")

    def _read(self, status: int, content: bytes, what: str) -> Any:
        if status == http.client.NOT_FOUND:
            return None
        if status >= http.client.BAD_REQUEST:
            msg = f"proxy {self.api}: {what}: {status} {content.decode(errors='replace').strip()}"
            raise ProxyCallError(msg)
        try:
            return json.loads(content) if content else None
        except ValueError:
            msg = f"proxy {self.api}: {what}: not JSON: {content[:80]!r}"
            raise ProxyCallError(msg) from None
