"""The declaration of the kind, and the act by which whoever reads the undo journal rolls it back."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.faults.safety.acts import FaultAct
from harness.model.files.fault_kinds.row import FaultKind, Place

TENANT_QUOTA = FaultKind(
    name="tenant_quota",
    place=Place.SERVICE,
    does="a tenant may do less than it paid for",
    example="service: orders, tenant_quota: {file: /tmp/quota-acme, limit: 3}",
    observed="the file holds the lower quota",
    rolled_back="the file holds the old quota",
    make="tenant_quota.fault:make",
    acts=("tenant_quota.kind:QuotaLowered",),
    spec="tenant_quota.fault:TenantQuota",
)


@dataclass(frozen=True, slots=True)
class QuotaLowered(FaultAct):
    """A quota that was lowered, and what it was."""

    what: ClassVar[str] = "quota"
    file: str
    before: int
    lowered: int

    @property
    def place(self) -> str:
        """The file."""
        return self.file

    def problem(self, run: Path | None) -> str:
        """Touch nothing but a file of quotas."""
        return "" if Path(self.file).name.startswith("quota-") else f"{self.file} is not a file of quotas"

    def heal(self, deadline_s: float) -> str:
        """Write the old quota back, and read it."""
        try:
            Path(self.file).write_text(str(self.before))
        except OSError as problem:
            return f"the quota in {self.file} is still lowered: {problem}"
        return "the quota is still lowered" if self.is_there() else ""

    def is_there(self) -> bool | None:
        """Read the quota."""
        try:
            return Path(self.file).read_text().strip() == str(self.lowered)
        except OSError:
            return None
