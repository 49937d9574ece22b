"""Seeded chance: the same seed, proxy, toxic and connection number always give the same draws."""

import hashlib
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chance:
    """The source of randomness for one toxic on one connection."""

    seed: int
    proxy: str
    toxic: str
    connection_number: int

    def hits(self, toxicity: float) -> bool:
        """Toss the coin of this connection; raising the toxicity only ever adds connections."""
        return toxicity >= 1.0 or self._fraction() < toxicity

    def stream(self) -> random.Random:
        """A generator for all further draws (jitter, slices)."""
        return random.Random(self._digest("draws"))

    def _fraction(self) -> float:
        return int.from_bytes(self._digest("coin")) / 2**64

    def _digest(self, purpose: str) -> bytes:
        key = "\0".join((str(self.seed), self.proxy, self.toxic, str(self.connection_number), purpose))
        return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
