"""noop: does nothing; Toxiproxy has it too."""

from dataclasses import dataclass

from harness.faultproxy.attributes import Attributes
from harness.faultproxy.stage import Stage, Surroundings


@dataclass(frozen=True, slots=True)
class Noop(Attributes):
    """No attributes."""

    def stage(self, around: Surroundings) -> "NoopStage":
        """See `Attributes.stage`."""
        return NoopStage(self, around)


class NoopStage(Stage[Noop]):
    """Hands everything on, untouched and unfelt."""

    def is_clear(self) -> bool:
        """See `Stage.is_clear`."""
        return True

    def _take(self, data: bytes) -> None:
        self.next.feed(data)
