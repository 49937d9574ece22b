"""Faults that are on no link and no service: a flag's value, the load of a tenant."""

from harness.model.files.fault_kinds.row import FaultKind, Place
from harness.model.run.capabilities import Capability

FLAG = FaultKind(
    name="flag",
    place=Place.FLAG,
    does="a feature flag has another value",
    example="flag: {name: catalog.canary, value: 100}",
    observed="the flag's own service holds the value",
    rolled_back="the old value is read back",
    make="harness.faults.kinds.makers:flag",
    acts=("harness.faults.kinds.flag_acts:FlagSet",),
    spec="harness.model.files.fault_specs:FlagFlip",
    needs=(Capability.FLAG_ACCESS,),
)

SURGE = FaultKind(
    name="surge",
    place=Place.LOAD,
    does="a tenant sends a multiple of its share of the load",
    example="surge: {tenant: globex, times: 20}",
    observed="arrivals that were sent",
    rolled_back="the load is the planned one again",
    make="harness.faults.kinds.makers:surge",
    spec="harness.model.files.fault_specs:Surge",
    options=frozenset(),
)
