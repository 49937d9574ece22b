"""A target of two small programs and a scenario of some seconds, written where a test wants them."""

from pathlib import Path

SERVICE = """
import http.server, os, time, urllib.request
BACK = os.environ.get("BACK_URL")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        status, body = 200, b"{}"
        if self.path == "/look" and BACK:
            try:
                body = urllib.request.urlopen(BACK, timeout=float(os.environ.get("PATIENCE_S", "0.2"))).read()
            except OSError:
                status = 200 if os.environ.get("FALLBACK") == "on" else 503
        self.send_response(status); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
TARGET = """
name: tiny
entry: front
environment: {{PORT: "{{port}}"}}
services:
  front: {{command: ["{{python}}", "{program}"], ready: /ready, metrics: null, env: {{FALLBACK: "on"}}}}
  back:  {{command: ["{{python}}", "{program}"], ready: /ready, metrics: null}}
links:
  front -> back: {{env: BACK_URL}}
tenants: {{acme: {{}}}}
flows:
  look: {{steps: [{{name: look, path: /look}}], timeout: 2s}}
objectives:
  look: {{errors: "< 5%", p95: "< 900ms"}}
protections:
  fallback: {{kind: fallback, service: front, guards: [front -> back], off: {{env: {{FALLBACK: "off"}}}}}}
"""
SCENARIO = """
claim: While the back is away, the front still answers.
target: target.yaml
load: {acme: {look: 20}}
phases: {warmup: 1s, baseline: 4s, fault: 4s, recovery: 4s}
faults:
  - {link: front -> back, down: true}
checks:
  - objective: {flow: look, errors: "< 5%", p95: "< 900ms"}
"""


def write_tiny(folder: Path) -> Path:
    """Write program, target and scenario into *folder*; return the scenario's path."""
    program = folder / "service.py"
    program.write_text(SERVICE)
    (folder / "target.yaml").write_text(TARGET.format(program=program))
    scenario = folder / "back-away.yaml"
    scenario.write_text(SCENARIO)
    return scenario
