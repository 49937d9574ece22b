"""Tenants as the deployment declares them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

_TENANT_ID = re.compile(r"[a-z][a-z0-9-]{0,39}")


class Tenancy(Enum):
    """How the rows of a tenant are kept apart from those of others."""

    POOL = "pool"  # in the same tables, behind row-level security
    BRIDGE = "bridge"  # in a schema of its own
    SILO = "silo"  # in a database of its own


@dataclass(frozen=True, slots=True)
class Tenant:
    """One customer: its id is safe to use in headers, labels and SQL literals."""

    id: str
    plan: str
    provider: str
    secret: str
    tenancy: Tenancy = Tenancy.POOL

    @property
    def tier(self) -> str:
        """The class whose calls are judged apart from everybody else's; "" for everybody else."""
        return self.plan if self.plan == "gold" else ""


def parse_tenants(raw: str) -> dict[str, Tenant]:
    """Parse the JSON object of `TENANTS`, name to settings; raise ValueError for a name that is not a plain slug."""
    return {name: _tenant(name, fields) for name, fields in json.loads(raw).items()}


def _tenant(name: str, fields: Mapping[str, str]) -> Tenant:
    if not _TENANT_ID.fullmatch(name):
        msg = f"TENANTS: {name!r} is not a tenant id; use lower-case letters, digits and dashes"
        raise ValueError(msg)
    return Tenant(
        id=name,
        plan=fields.get("plan", "silver"),
        provider=fields.get("provider", ""),
        secret=fields.get("secret", ""),
        tenancy=Tenancy(fields.get("tenancy", "pool")),
    )
