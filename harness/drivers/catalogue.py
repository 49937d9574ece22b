"""The door to every driver: who wants a target run comes here and names none of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.drivers.driver import Driver, Setting
from harness.drivers.local.driver import CAPABILITIES, LocalDriver
from harness.drivers.standing.driver import StandingDriver
from harness.drivers.standing.stack import StandingStack
from harness.model.errors import UsageError
from harness.model.files.target import Deployment, Target
from harness.model.run.capabilities import Capability


@dataclass(frozen=True, slots=True)
class DriverKind:
    """One way of running a target."""

    deployment: Deployment
    capabilities: frozenset[Capability]
    make: Callable[[Target, Setting], Driver]


_KINDS = (DriverKind(Deployment.LOCAL, CAPABILITIES, LocalDriver),)

DRIVERS: Mapping[Deployment, DriverKind] = {kind.deployment: kind for kind in _KINDS}
"""What is available; the order is that of messages."""


def driver_for(target: Target, setting: Setting, *, on: StandingStack | None = None) -> Driver:
    """Return what runs *target*, or uses the stack that is already up; nothing is started yet.

    Raises:
        UsageError: no driver is available for the target's deployment.
    """
    if on is not None:
        return StandingDriver(on, setting)
    return kind_of(target).make(target, setting)


def kind_of(target: Target) -> DriverKind:
    """Return the driver's row; UsageError where none is available for the target's deployment."""
    if why := why_unavailable(target.deployment):
        raise UsageError(why)
    return DRIVERS[target.deployment]


def why_unavailable(deployment: Deployment) -> str:
    """Say why a target of this deployment cannot be run; "" where it can."""
    if deployment in DRIVERS:
        return ""
    available = ", ".join(kind.value for kind in DRIVERS)
    return f"the deployment {deployment.value!r} is not available in this version; available: {available}"
