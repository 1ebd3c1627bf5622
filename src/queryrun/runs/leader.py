"""The LeaderLease protocol: which of the nodes that share a database runs a task for all of them.

This only saves work: every task listed here is harmless when two nodes run it at once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class LeaderTask(StrEnum):
    """A task that one node runs for all."""

    SWEEP = "sweep"
    """Removing files that belong to no run."""
    ORPHANS = "orphans"
    """Stopping work in remote engines that no attempt owns (`RemoteWork.stop_orphans`)."""
    RETENTION = "retention"
    """Removing runs past their retention."""
    FILES = "files"
    """Removing files that are on record for it (`runs/file_removal.py`)."""


class LeaderLease(Protocol):
    """Decides which of the nodes on one database runs a task."""

    async def held(self, task: LeaderTask, /) -> bool:
        """Acquire or renew the lease on `task`. False: another node holds it, skip this round.

        The lease stays with the node while it renews at least once a minute, and expires with its
        database connection: when the node dies, freezes or is cut off, another node gets it.

        It is no lock. Two nodes may hold it for a moment, and a node that cannot find out gets
        True, because a task that no node runs is worse than one run twice. `Unavailable` when
        the database does not respond.
        """
        ...


class AlwaysLeader:
    """For a node that owns its database alone: it holds every lease."""

    async def held(self, _task: LeaderTask, /) -> bool:
        """Always true."""
        return True
