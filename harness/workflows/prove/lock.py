"""One proof at a time on a machine: runs that overlap would measure each other."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from harness.faults.safety.registry import state_folder


@contextmanager
def only_one(console: Console) -> Iterator[None]:
    """Wait until no other proof runs, and say so; the lock goes with the process, however it ends."""
    path = state_folder() / "proof.lock"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("another proof is running on this machine; waiting for it to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
