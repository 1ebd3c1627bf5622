"""The process's file descriptors: how many it may have, has, and leaves to connections."""

from __future__ import annotations

import os
import resource

RESERVED = 256
"""Never spent on connections: the database, the workers' channels, files of the node itself."""
PER_CONNECTION = 2
"""Its own and, while it downloads, that of a result file or of the bucket."""


def raise_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one; returns what it is now.

    The soft one is 1,024 on most systems, for the sake of programs that use `select`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def limit() -> int:
    """How many descriptors this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def open_count() -> int:
    """How many are open. Reads a directory: about a millisecond for a thousand."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 no paths are needed


def affordable_connections(descriptors: int) -> int:
    """How many connections this many descriptors allow, at least one."""
    return max(1, (descriptors - RESERVED) // PER_CONNECTION)
