"""Runs that a test interrupts, and that are cleaned up whatever the test does."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.running import HARNESS


@pytest.fixture
def start_harness(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start commands that a test will interrupt; whatever is left of them is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*HARNESS, *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
