"""The nearest rank: a quantile that was observed, never a value between two."""

from typing import Any

import numpy as np


def nearest_rank(quantile: float, size: Any) -> Any:
    """Return the index, from 0, of *quantile* among *size* ordered values; *size* may be an array."""
    return np.clip(np.ceil(quantile * size - 1e-9).astype(np.int64) - 1, 0, None)
