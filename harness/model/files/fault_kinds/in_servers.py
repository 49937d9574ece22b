"""Faults inside a server: a PostgreSQL database, a NATS broker."""

from harness.model.files.fault_kinds.row import FaultKind, Place
from harness.model.run.capabilities import Capability

_ON = "service: catalog-db"
_SPECS = "harness.model.files.fault_specs"


def _held(name: str, does: str, example: str, *, observed: str, spec: str = "", shorthand: str = "") -> FaultKind:
    return FaultKind(
        name=name,
        place=Place.DATABASE,
        does=does,
        example=f"{_ON}, {example}",
        observed=observed,
        rolled_back="the helper process is gone, and PostgreSQL has released what it held",
        make="harness.faults.kinds.makers:held",
        acts=("harness.faults.kinds.process_acts:HelperStarted",),
        spec=spec and f"{_SPECS}:{spec}",
        shorthand=shorthand,
        needs=(Capability.DATABASE_ACCESS,),
    )


DATABASES = (
    FaultKind(
        name="drop_index",
        place=Place.DATABASE,
        does="an index is gone",
        example=f"{_ON}, drop_index: products_by_tenant",
        observed="sequential scans of its table",
        rolled_back="the index is there again, made from its own definition",
        make="harness.faults.kinds.makers:drop_index",
        acts=("harness.faults.kinds.database_acts:IndexDropped",),
        spec=f"{_SPECS}:DropIndex",
        shorthand="index",
        needs=(Capability.DATABASE_ACCESS,),
    ),
    _held(
        "lock_table", "a session holds the table exclusively", "lock_table: products",
        observed="sessions that wait for a lock", spec="LockTable", shorthand="table",
    ),
    _held(
        "exhaust_connections", "all connections are in use", "exhaust_connections: true", observed="connections taken"
    ),
    _held(
        "terminate_backends", "every session is ended, again and again", "terminate_backends: 500ms",
        observed="sessions ended", spec="TerminateBackends", shorthand="every",
    ),
    FaultKind(
        name="disk_full",
        place=Place.DATABASE,
        does="the database cannot write",
        example="service: orders-db, disk_full: true",
        observed="–",
        rolled_back="–",
        make="harness.faults.kinds.makers:not_available",
        needs=(Capability.DISK_QUOTA,),
        missing="harness.faults.kinds.not_available:disk_full",
    ),
)  # fmt: skip

BROKERS = (
    FaultKind(
        name="poison",
        place=Place.BROKER,
        does="messages that no consumer can parse, in a stream of NATS",
        example='service: broker, poison: {subject: orders.acme.confirmed, body: "not json", count: 3}',
        observed="the broker counts how often they were delivered",
        rolled_back="the stream no longer holds any of them",
        make="harness.faults.kinds.makers:poison",
        acts=("harness.faults.kinds.broker_acts:MessagesPublished",),
        spec=f"{_SPECS}:Poison",
        shorthand="subject",
        needs=(Capability.BROKER_ACCESS,),
    ),
)
