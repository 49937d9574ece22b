"""Descriptors for the control API even when clients would take them all."""

import contextlib
import os
import resource

_MOST_RESERVED = 64
_WISHED = 1_048_576


def raise_limit() -> None:
    """Two descriptors a connection; the limits are often far below what the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(hard, _WISHED), hard):  # more than the hard limit is for the superuser
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return


def is_scarce(descriptor: int) -> bool:
    """Tell whether the newest *descriptor* is one of the last; the system always gives the lowest free one."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return descriptor >= limit - min(_MOST_RESERVED, limit // 4)


def are_scarce_beside(descriptor: int) -> bool:
    """Tell whether the next descriptor would be one of the last; *descriptor* is any open one."""
    try:
        probe = os.dup(descriptor)
    except OSError:
        return True
    os.close(probe)
    return is_scarce(probe)
