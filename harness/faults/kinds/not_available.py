"""Why kinds that are declared cannot be made yet."""

import shutil


def clock_shift() -> str:
    """Say what a shifted clock would need."""
    here = shutil.which("faketime") is not None
    return "services would have to be started under libfaketime" if here else "libfaketime is not installed"


def disk_full() -> str:
    """Say why no database is filled."""
    return "the embedded databases share one file system; filling it would hurt others"
