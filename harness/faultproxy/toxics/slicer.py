"""slicer: chunks leave as many small ones."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.faultproxy.attributes import LONGEST_MS, MOST_BYTES, Attributes, whole_number
from harness.faultproxy.errors import bad_request_body
from harness.faultproxy.stage import Ending, HoldingStage, Surroundings


@dataclass(frozen=True, slots=True)
class Slicer(Attributes):
    """Slices of about average_size, give or take size_variation; after each a pause in microseconds."""

    average_bytes: int = whole_number("average_size", most=MOST_BYTES)
    variation_bytes: int = whole_number("size_variation", most=MOST_BYTES)
    delay_us: int = whole_number("delay", most=LONGEST_MS)

    def stage(self, around: Surroundings) -> "SlicerStage":
        """See `Attributes.stage`."""
        return SlicerStage(self, around)

    def validate(self) -> None:
        """Slices of no or negative size cannot be cut; such attributes crash Toxiproxy 2.12."""
        if self.average_bytes < 1:
            raise bad_request_body("attribute average_size must be at least 1")
        if self.variation_bytes > self.average_bytes:
            raise bad_request_body("attribute size_variation must not exceed average_size")


class SlicerStage(HoldingStage[Slicer]):
    """Cuts each chunk and sends the slices one by one."""

    _free_s = 0.0

    def _plan(self, load: bytes | Ending, arrived_s: float) -> bool:
        self._free_s = max(self._free_s, arrived_s)
        if isinstance(load, Ending):
            self._hold(load, self._free_s, arrived_s)
            return False
        slices = 0
        for start, end in self._cuts(len(load)):
            self._hold(load[start:end], self._free_s, arrived_s)
            self._free_s += self.attributes.delay_us / 1e6
            slices += 1
        return slices > 1 or self.attributes.delay_us > 0

    def _cuts(self, size: int) -> Iterator[tuple[int, int]]:
        """Halve until a slice is small enough, each time a little off the middle; in order, without gaps."""
        average, variation = self.attributes.average_bytes, self.attributes.variation_bytes
        todo = [(0, size)]
        while todo:
            start, end = todo.pop()
            if (end - start) - average <= variation:
                yield start, end
                continue
            middle = start + (end - start) // 2
            if variation:
                middle += self._random().randrange(-variation, variation)
                middle = min(max(middle, start + 1), end - 1)
            todo += [(middle, end), (start, middle)]

    def _forget_plan(self) -> None:
        self._free_s = self._clock.now_s()
