"""What a service reads from its environment, once, at its start."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from target_stack.kit.protections import Protections, read_protections
from target_stack.kit.tenancy import Tenant, parse_tenants


@dataclass(frozen=True, slots=True)
class Settings:
    """The part of the environment that all services share; `environment` holds the rest, read where it is used."""

    service: str
    host: str
    port: int
    otlp_endpoint: str | None
    tenants: Mapping[str, Tenant]
    protections: Protections
    environment: Mapping[str, str]
    admin_port: int | None = None  # health and metrics move there, where callers need a certificate for the main port
    identity: Path | None = None  # folder of this service's certificate; None: plain HTTP

    def required(self, name: str) -> str:
        """Return the variable *name*; raise SystemExit with the next step when it is missing."""
        return _required(self.environment, name)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings of this process; raise SystemExit or ValueError when one is missing or malformed."""
    return Settings(
        service=_required(environment, "OTEL_SERVICE_NAME"),
        host=environment.get("HOST", "127.0.0.1"),
        port=int(_required(environment, "PORT")),
        otlp_endpoint=environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None,
        tenants=parse_tenants(_required(environment, "TENANTS")),
        protections=read_protections(environment),
        environment=environment,
        admin_port=int(environment["ADMIN_PORT"]) if environment.get("ADMIN_PORT") else None,
        identity=Path(environment["IDENTITY"]) if environment.get("IDENTITY") else None,
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        msg = f"the environment variable {name} is missing: set it as target_stack/target.yaml shows"
        raise SystemExit(msg)
    return value
