"""A Toxiproxy that is not ours, and whose DELETE of a toxic hangs, as the real one's can (issues 159, 210, 412, 558).

python -m tests.faults.foreign sticky|stuck

sticky: it hangs while the proxy is enabled, on the connections that the toxic holds. stuck: it always hangs, only a
reset helps. It knows no lease and counts nothing. The first line that it prints is its address.
"""

import http.server
import json
import sys
import threading
from typing import Any
from urllib.parse import unquote


class Foreign(http.server.ThreadingHTTPServer):
    """Its state, for one lock."""

    daemon_threads = True

    def __init__(self, mode: str) -> None:
        super().__init__(("127.0.0.1", 0), _Api)
        self.mode = mode
        self.lock = threading.Lock()
        self.proxies: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def proxy(self, name: str) -> dict[str, Any]:
        made = {"name": name, "listen": "127.0.0.1:1", "upstream": "127.0.0.1:1", "enabled": True, "toxics": []}
        return self.proxies.setdefault(name, made)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that gave up is what this server is for."""


class _Api(http.server.BaseHTTPRequestHandler):
    server: Foreign
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}"))

    def do_DELETE(self) -> None:
        self._serve({})

    def _serve(self, body: dict[str, Any]) -> None:
        with self.server.lock:
            self.server.calls.append(f"{self.command} {unquote(self.path)}")
            status, content = self._answer([unquote(part) for part in self.path.strip("/").split("/")], body)
        if status == 0:
            threading.Event().wait()  # for ever: nobody gets an answer from this thread
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _answer(self, path: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        match self.command, path:
            case "GET", ["proxies"]:
                return 200, self.server.proxies
            case "POST", ["reset"]:
                for proxy in self.server.proxies.values():
                    proxy |= {"enabled": True, "toxics": []}
                return 204, None
            case _, ["proxies", name]:
                proxy = self.server.proxy(name)
                proxy["enabled"] = body.get("enabled", proxy["enabled"])
                return 200, proxy
            case "GET", ["proxies", name, "toxics"]:
                return 200, self.server.proxy(name)["toxics"]
            case "POST", ["proxies", name, "toxics"]:
                self.server.proxy(name)["toxics"].append({"toxicity": 1.0, "stream": "downstream", **body})
                return 200, body
            case "GET", ["proxies", name, "toxics", toxic]:
                found = [held for held in self.server.proxy(name)["toxics"] if held["name"] == toxic]
                return (200, found[0]) if found else (404, {"error": "toxic not found", "status": 404})
            case "DELETE", ["proxies", name, "toxics", toxic]:
                return self._delete(self.server.proxy(name), toxic)
        return 404, {"error": "not found", "status": 404}

    def _delete(self, proxy: dict[str, Any], toxic: str) -> tuple[int, Any]:
        if self.server.mode == "stuck" or proxy["enabled"]:
            return 0, None
        proxy["toxics"] = [held for held in proxy["toxics"] if held["name"] != toxic]
        return 204, None

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    serving = Foreign(sys.argv[1])
    print(serving.address, flush=True)
    serving.serve_forever()
