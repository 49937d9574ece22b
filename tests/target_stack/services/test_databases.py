"""Every database belongs to one service: by the links of target.yaml, and by what the servers allow."""

import pytest

from tests.target_stack.conftest import TARGET

DATABASES = {name: spec["database"] for name, spec in TARGET["services"].items() if spec.get("kind") == "postgres"}
VERSIONS = {"catalog-canary": "catalog"}  # a new version of a service works on its data


def callers_of(database):
    ends = (link.split(" -> ") for link in TARGET["links"])
    return {VERSIONS.get(caller, caller) for caller, callee in ends if callee == database}


@pytest.mark.parametrize("server", DATABASES)
def test_one_service_alone_is_told_where_a_database_is(server):
    (caller,) = callers_of(server)
    assert server == f"{caller}-db" or server.startswith(f"{caller}-")


def test_no_two_services_share_a_login():
    users = [link["value"].split("@")[0] for link in TARGET["links"].values() if "postgresql://" in link["value"]]
    assert {users.count(user) for user in users} <= {1, 2}  # the second is a new version of the same service
    assert len(set(users)) == len(DATABASES)


@pytest.mark.parametrize(
    ("role", "foreign"), [("orders", "payments"), ("catalog", "orders"), ("orders_acme", "orders")]
)
def test_the_role_of_one_service_cannot_read_the_tables_of_another(stack, role, foreign):
    tables = {"payments": "payments", "orders": "orders"}
    with pytest.raises(RuntimeError, match="permission denied"):
        stack.postgres.run(f"SELECT * FROM {tables[foreign]} LIMIT 1", user=role, database=foreign)
