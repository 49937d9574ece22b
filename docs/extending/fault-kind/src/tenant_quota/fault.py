"""What the fault can be given, and what makes it real."""

from pathlib import Path

from pydantic import PositiveInt

from harness.faults.kinds.circumstances import Circumstances
from harness.faults.kinds.injector import Observed
from harness.faults.kinds.standing_fault import StandingFault, now_ns
from harness.model.base import Spec
from harness.model.errors import HarnessError
from harness.model.files.faults import Fault
from tenant_quota.kind import QuotaLowered


class TenantQuota(Spec):
    """The file with the quota, and what it is lowered to."""

    file: str
    limit: PositiveInt


class QuotaFault(StandingFault):
    """A lower quota; `StandingFault` confirms, rolls back and settles what was written with `_write`."""

    def __init__(self, spec: TenantQuota, around: Circumstances) -> None:
        super().__init__(around.safety)
        self._spec = spec
        self._name = around.name
        self._first_ns: int | None = None

    def apply(self) -> None:
        """Read the quota, journal how to restore it, lower it."""
        file = Path(self._spec.file)
        try:
            before = int(file.read_text())
            self._write(QuotaLowered(self._name, str(file), before, self._spec.limit))
            file.write_text(str(self._spec.limit))
        except (OSError, ValueError) as problem:
            msg = f"{self._name}: the quota in {file} cannot be lowered: {problem}"
            raise HarnessError(msg) from None
        self._first_ns = now_ns()

    def observed(self) -> Observed:
        """Return that one quota was lowered."""
        return Observed(touched=0 if self._first_ns is None else 1, unit="quotas", first_observed_ns=self._first_ns)


def make(fault: Fault, around: Circumstances) -> QuotaFault:
    """Return the injector of a fault."""
    return QuotaFault(fault.spec, around)
