"""What the parts of the local driver share: the target, its run, addresses, recipe and processes."""

from dataclasses import dataclass

from harness.drivers.addresses import Addresses
from harness.drivers.driver import Setting
from harness.drivers.local.recipe import Recipe
from harness.drivers.process import Nursery
from harness.model.files.target import Target


@dataclass(frozen=True, slots=True)
class Parts:
    """One local stack."""

    target: Target
    setting: Setting
    addresses: Addresses
    recipe: Recipe
    nursery: Nursery

    @classmethod
    def of(cls, target: Target, setting: Setting) -> "Parts":
        """Return the parts of a stack that is not started yet."""
        addresses = Addresses(target)
        nursery = Nursery(guard=setting.guard, emit=setting.emit, clock=setting.clock)
        return cls(target, setting, addresses, Recipe(target, setting, addresses), nursery)
