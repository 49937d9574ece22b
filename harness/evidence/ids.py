"""Trace and span ids as numbers: five million of them fit into memory and can be looked up."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ids = NDArray[np.uint64]
_ODD = np.uint64(0x9E3779B97F4A7C15)


def words_of(column: pa.FixedSizeBinaryArray) -> Ids:
    """Return the ids as rows of 64-bit words (one a span id, two a trace id); a null is whatever lies there."""
    words = column.type.byte_width // 8
    flat = np.frombuffer(column.buffers()[1], dtype=np.uint64)
    rows: Ids = flat[column.offset * words : (column.offset + len(column)) * words].reshape(-1, words)
    return rows


def key_of(trace_words: Ids) -> Ids:
    """Return one word a trace; two traces share one only by a chance that needs billions of them."""
    keys: Ids = trace_words[:, 0] ^ (trace_words[:, 1] * _ODD)
    return keys


def hex_of(trace_words: NDArray[Any]) -> str:
    """Write one trace id as the rest of the world does."""
    return trace_words.tobytes().hex()
