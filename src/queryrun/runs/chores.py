"""The Chores protocol: what one node can do for all that share a database, and whose turn it is.

Only thrift: everything named here is harmless when two nodes do it at once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Chore(StrEnum):
    """What one node does for all."""

    SWEEP = "sweep"
    """Removing files that no run names."""
    ORPHANS = "orphans"
    """Ending work in engines elsewhere that no attempt owns (`RemoteWork.end_orphans`)."""


class Chores(Protocol):
    """Says which of the nodes on one database does a chore."""

    async def mine(self, chore: Chore, /) -> bool:
        """Whether this node is to do the chore now. False: another one does, skip this round.

        A yes stays with the node while it goes on asking, more often than once a minute, and
        ends with its connection to the database: when it dies, freezes or is cut off, another
        node gets the yes. It is no lock: for a moment two nodes may have it, and a node that
        cannot find out is told yes, since a chore that nobody does is worse than one done twice.
        `Unavailable` when the database does not answer.
        """
        ...


class EveryChore:
    """A node that owns its database alone does everything."""

    async def mine(self, _chore: Chore, /) -> bool:
        """Always."""
        return True
