"""How much a failed check weighs."""

from enum import Enum


class Severity(Enum):
    """What a failed check means for the verdict, and who hears of it."""

    CRITICAL = "critical"
    WARNING = "warning"

    @property
    def queue(self) -> str:
        """Where a failed finding goes: somebody is paged for a critical one, the rest is reviewed in the morning."""
        return "page" if self is Severity.CRITICAL else "review"
