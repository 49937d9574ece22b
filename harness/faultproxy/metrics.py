"""Prometheus text of the proxies' traffic, live, under Toxiproxy's names."""

from collections.abc import Iterable, Iterator

from harness.faultproxy.direction import Direction
from harness.faultproxy.proxy import Proxy

_RECEIVED = "toxiproxy_proxy_received_bytes_total"
_SENT = "toxiproxy_proxy_sent_bytes_total"


def render_metrics(proxies: Iterable[Proxy]) -> str:
    """Return the exposition text."""
    samples = [sample for proxy in proxies for sample in _samples(proxy)]
    lines = []
    for family, help_text in ((_RECEIVED, "Bytes read from the source."), (_SENT, "Bytes taken by the destination.")):
        lines += [f"# HELP {family} {help_text}", f"# TYPE {family} counter"]
        lines += [f"{family}{labels} {value}" for name, labels, value in samples if name == family]
    return "\n".join(lines) + "\n"


def _samples(proxy: Proxy) -> Iterator[tuple[str, str, int]]:
    for direction in Direction:
        traffic = proxy.links.traffic(direction, proxy.connections)
        values = {
            "direction": direction.value, "listener": proxy.listen, "proxy": proxy.name, "upstream": proxy.upstream
        }  # fmt: skip
        labels = "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in values.items()) + "}"
        yield _RECEIVED, labels, traffic.received_bytes
        yield _SENT, labels, traffic.sent_bytes


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
