"""What every test of a check needs: a recording to write, with the check in its scenario."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.recordings import Written, small_plan

NewRun = Callable[..., Written]


@pytest.fixture
def new_run(tmp_path: Path) -> NewRun:
    """Return a function that begins a recording: `new_run({"trace": {}}, faults=[…], target={…})`."""

    def begin(
        *checks: dict[str, Any], target: dict[str, Any] | None = None, without: Sequence[str] = (), **scenario: Any
    ) -> Written:
        parts = {"checks": list(checks), **scenario}
        return Written(tmp_path / "run", small_plan(scenario=parts, target=target, without=list(without)))

    return begin
