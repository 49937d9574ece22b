"""limit_data: the connection closes when so many bytes have passed."""

from dataclasses import dataclass

from harness.faultproxy.attributes import MOST_BYTES, Attributes, whole_number
from harness.faultproxy.stage import Ending, Stage, Surroundings


@dataclass(frozen=True, slots=True)
class LimitData(Attributes):
    """How many bytes may pass; 0 closes at the first chunk."""

    limit_bytes: int = whole_number("bytes", most=MOST_BYTES)

    def stage(self, around: Surroundings) -> "LimitDataStage":
        """See `Attributes.stage`."""
        return LimitDataStage(self, around)


class LimitDataStage(Stage[LimitData]):
    """Counts what passed since the toxic came to this connection; updates keep the count."""

    def __init__(self, attributes: LimitData, around: Surroundings) -> None:
        super().__init__(attributes, around)
        self._passed_bytes = 0

    def _take(self, data: bytes) -> None:
        room_bytes = max(0, self.attributes.limit_bytes - self._passed_bytes)
        passing = data[:room_bytes]
        self._passed_bytes += len(passing)
        if passing:
            self.next.feed(passing)
        if room_bytes <= len(data):
            self._touch(data)
            self._close(Ending.CUT)
