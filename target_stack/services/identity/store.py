"""What identity keeps: tenants, users with salted secrets, the signing key."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from target_stack.kit.auth import TENANT_ADMIN, TENANT_USER
from target_stack.kit.database import Database
from target_stack.kit.tenancy import Tenant

SCHEMA = """
CREATE TABLE IF NOT EXISTS tenants (id text PRIMARY KEY, plan text NOT NULL);
CREATE TABLE IF NOT EXISTS users (
    tenant_id text NOT NULL REFERENCES tenants, name text NOT NULL, roles text[] NOT NULL,
    salt text NOT NULL, secret_hash text NOT NULL, PRIMARY KEY (tenant_id, name));
CREATE TABLE IF NOT EXISTS signing_keys (
    id text PRIMARY KEY, private_pem text NOT NULL, created_at timestamptz DEFAULT now());
"""


@dataclass(frozen=True, slots=True)
class User:
    """One login of a tenant."""

    tenant: str
    name: str
    roles: tuple[str, ...]
    salt: str
    secret_hash: str


class IdentityStore:
    """Reads and writes identity's tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seed(self, tenants: Iterable[Tenant]) -> None:
        """Make the tenants of the deployment known: the user `app` with the tenant's secret, `admin` with its own."""
        async with self._database.transaction("seed tenants") as transaction:
            for tenant in tenants:
                await transaction.execute(
                    "INSERT INTO tenants VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET plan = excluded.plan",
                    tenant.id,
                    tenant.plan,
                )
                for user in _users_of(tenant):
                    await transaction.execute(
                        "INSERT INTO users VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, name) DO UPDATE"
                        " SET roles = excluded.roles, salt = excluded.salt, secret_hash = excluded.secret_hash",
                        user.tenant,
                        user.name,
                        list(user.roles),
                        user.salt,
                        user.secret_hash,
                    )

    async def find_user(self, tenant: str, name: str) -> User | None:
        """Return a user, or None."""
        async with self._database.transaction("find user") as transaction:
            row = await transaction.fetchrow("SELECT * FROM users WHERE tenant_id = $1 AND name = $2", tenant, name)
        return None if row is None else User(tenant, name, tuple(row["roles"]), row["salt"], row["secret_hash"])

    async def list_users(self, tenant: str) -> list[User]:
        """Return the users of a tenant by name."""
        async with self._database.transaction("list users") as transaction:
            rows = await transaction.fetch("SELECT * FROM users WHERE tenant_id = $1 ORDER BY name", tenant)
        return [User(tenant, row["name"], tuple(row["roles"]), row["salt"], row["secret_hash"]) for row in rows]

    async def signing_key(self, fresh_id: str, fresh_pem: str) -> tuple[str, str]:
        """Return id and PEM of the signing key: the fresh one only if there was none, so that restarts keep tokens."""
        async with self._database.transaction("signing key") as transaction:
            await transaction.execute(
                "INSERT INTO signing_keys (id, private_pem) SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM signing_keys)",
                fresh_id,
                fresh_pem,
            )
            row = await transaction.fetchrow(
                "SELECT id, private_pem FROM signing_keys ORDER BY created_at DESC LIMIT 1"
            )
        return row["id"], row["private_pem"]


def hash_secret(salt: str, secret: str) -> str:
    """Return the salted hash: a fast one, for the secrets are long and random and logins must not burn the CPU."""
    return hashlib.sha256(f"{salt}:{secret}".encode()).hexdigest()


def _users_of(tenant: Tenant) -> list[User]:
    return [
        _user(tenant.id, "app", (TENANT_USER,), tenant.secret),
        _user(tenant.id, "admin", (TENANT_USER, TENANT_ADMIN), f"{tenant.secret}-admin"),
    ]


def _user(tenant: str, name: str, roles: tuple[str, ...], secret: str) -> User:
    salt = secrets.token_hex(8)
    return User(tenant, name, roles, salt, hash_secret(salt, secret))
