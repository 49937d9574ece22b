"""The environment of each service: little of ours, what target.yaml says, and the addresses of its links."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.model.errors import UsageError
from harness.model.files.source import did_you_mean
from harness.model.files.target import Target, ends_of

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH")
_PLACEHOLDER = re.compile(r"\{(?P<name>[a-z_]+(?:\.[a-z0-9_]+)?)\}")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the placeholders of a target file stand for in one run."""

    host: str
    otlp: str
    run: str
    tenants: str  # JSON: name -> attributes
    state: str = ""  # a folder that all services of the run share

    def placeholders(self, service: str, port: int, ports: Mapping[str, int] | None = None) -> dict[str, str]:
        """Return the value of every placeholder for one service; *ports* are its further ports by name."""
        return {
            **{f"port.{name}": str(further) for name, further in (ports or {}).items()},
            "host": self.host,
            "port": str(port),
            "service": service,
            "otlp": self.otlp,
            "tenants": self.tenants,
            "python": sys.executable,
            "run": self.run,
            "state": self.state,
        }


def tenants_json(target: Target) -> str:
    """Return the tenants with all their attributes, the target's own included."""
    return json.dumps({name: tenant.model_dump(mode="json") for name, tenant in target.tenants.items()})


def inherited() -> dict[str, str]:
    """Return the little that a process takes over from ours."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def fill(text: str, values: Mapping[str, str], *, where: str) -> str:
    """Replace placeholders; UsageError, naming the key *where*, for one that does not exist."""

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in values:
            msg = f"target.yaml: {where}: unknown placeholder {{{name}}}{did_you_mean(name, values)}"
            raise UsageError(msg)
        return values[name]

    return _PLACEHOLDER.sub(value, text)


def command_of(target: Target, service: str, values: Mapping[str, str]) -> list[str]:
    """Return the command line of a service."""
    parts = target.services[service].command
    return [fill(part, values, where=f"services.{service}.command[{n}]") for n, part in enumerate(parts)]


def environment_of(
    target: Target,
    service: str,
    values: Mapping[str, str],
    *,
    links: Mapping[str, str],
    without: Sequence[str],
    marker: Mapping[str, str],
) -> dict[str, str]:
    """Return the whole environment of a service; *links* maps each link to the address that its caller gets."""
    spec = target.services[service]
    return {
        **inherited(),
        "PYTHONUNBUFFERED": "1",
        **_filled(target.environment, values, where="environment"),
        **_filled(spec.env, values, where=f"services.{service}.env"),
        **_of_links(target, service, links),
        **(_filled(target.proofs.env, values, where="proofs.env") if without else {}),
        **switched_off(target, service, without),
        **marker,
    }


def switched_off(target: Target, service: str, without: Sequence[str]) -> dict[str, str]:
    """Return what switches protections of *service* off; values of one variable are joined by commas."""
    found: dict[str, list[str]] = {}
    for name in without:
        protection = target.protections[name]
        if protection.service == service:
            for variable, value in protection.off.env.items():
                found.setdefault(variable, []).append(value)
    return {variable: ",".join(dict.fromkeys(values)) for variable, values in found.items()}


def check_placeholders(target: Target, surroundings: Surroundings) -> None:
    """Fill everything once before anything is started; UsageError names the first key that cannot be."""
    for name in target.services:
        values = surroundings.placeholders(name, 0, dict.fromkeys(target.services[name].ports, 0))
        command_of(target, name, values)
        links = dict.fromkeys(target.links, f"{surroundings.host}:0")
        environment_of(target, name, values, links=links, without=list(target.protections), marker={})


def _filled(texts: Mapping[str, str], values: Mapping[str, str], *, where: str) -> dict[str, str]:
    return {name: fill(text, values, where=f"{where}.{name}") for name, text in texts.items()}


def _of_links(target: Target, service: str, addresses: Mapping[str, str]) -> dict[str, str]:
    ours = {name: link for name, link in target.links.items() if ends_of(name)[0] == service}
    return {
        link.env: fill(link.value, {"address": addresses[name]}, where=f"links.{name}.value")
        for name, link in ours.items()
    }
