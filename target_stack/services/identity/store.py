"""What identity keeps: tenants, users with salted secrets, the signing keys."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from target_stack.kit.auth import TENANT_ADMIN, TENANT_USER
from target_stack.kit.database import Database, Transaction
from target_stack.kit.tenancy import Tenant
from target_stack.services.identity.signing import KeyRecord

SCHEMA = """
CREATE TABLE IF NOT EXISTS tenants (id text PRIMARY KEY, plan text NOT NULL);
CREATE TABLE IF NOT EXISTS users (
    tenant_id text NOT NULL REFERENCES tenants, name text NOT NULL, roles text[] NOT NULL,
    salt text NOT NULL, secret_hash text NOT NULL, PRIMARY KEY (tenant_id, name));
CREATE TABLE IF NOT EXISTS signing_keys (
    id text PRIMARY KEY, algorithm text NOT NULL, private_pem text NOT NULL, retired_ns bigint,
    number bigint GENERATED ALWAYS AS IDENTITY);
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

    async def ensure_keys(self, fresh: Sequence[KeyRecord]) -> list[KeyRecord]:
        """Return all signing keys; those that are *fresh* are the first ones if there were none."""
        async with self._database.transaction("ensure signing keys") as transaction:
            await transaction.execute(_ONE_AT_A_TIME)
            known = await _all_keys(transaction)
            if not known:
                for key in fresh:
                    await _add_key(transaction, key)
            return known or list(fresh)

    async def rotate_keys(self, fresh: KeyRecord, now_ns: int, gone_before_ns: int) -> list[KeyRecord]:
        """Retire the key that signs, add one that is fresh, drop those retired before *gone_before_ns*; return all."""
        async with self._database.transaction("rotate signing keys") as transaction:
            await transaction.execute(_ONE_AT_A_TIME)
            await transaction.execute(
                "UPDATE signing_keys SET retired_ns = $1"
                " WHERE number = (SELECT min(number) FROM signing_keys WHERE retired_ns IS NULL)",
                now_ns,
            )
            await transaction.execute("DELETE FROM signing_keys WHERE retired_ns < $1", gone_before_ns)
            await _add_key(transaction, fresh)
            return await _all_keys(transaction)


_ONE_AT_A_TIME = "LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"


async def _add_key(transaction: Transaction, key: KeyRecord) -> None:
    await transaction.execute(
        "INSERT INTO signing_keys (id, algorithm, private_pem) VALUES ($1, $2, $3)",
        key.id,
        key.algorithm,
        key.private_pem,
    )


async def _all_keys(transaction: Transaction) -> list[KeyRecord]:
    rows = await transaction.fetch("SELECT id, algorithm, private_pem, retired_ns FROM signing_keys ORDER BY number")
    return [KeyRecord(*row) for row in rows]


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
