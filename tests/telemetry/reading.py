"""Reading what telemetry wrote, and a clock that stands still."""

from pathlib import Path

import pandas as pd

from harness.recording.columns import Table

NOW_NS = 1_780_000_000_000_000_000


class StillClock:
    def now_ns(self) -> int:
        return NOW_NS


def rows(run: Path, table: Table) -> pd.DataFrame:
    """All segments of a table, nulls as None; no partial file may be left."""
    assert not list((run / table.value).glob("*.partial"))
    segments = [pd.read_parquet(path) for path in sorted((run / table.value).glob("*.parquet"))]
    frame = pd.concat(segments, ignore_index=True) if segments else table.schema.empty_table().to_pandas()
    return frame.astype(object).where(frame.notna(), None)
