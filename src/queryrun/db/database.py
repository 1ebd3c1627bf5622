"""Everything a node keeps in its database, whichever that is."""

from __future__ import annotations

from typing import Protocol

from queryrun.auth.store import AuthStore
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.leader import LeaderLease
from queryrun.runs.notify import NodeNotifier
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.store import RunStore


class Database(Protocol):
    """One open database and every store in it (`db.sqlite.database`, `db.postgres.database`)."""

    @property
    def runs(self) -> RunStore:
        """Runs, their attempts and their history."""
        ...

    @property
    def auth(self) -> AuthStore:
        """Clients, entities and tokens."""
        ...

    @property
    def idempotency(self) -> IdempotencyStore:
        """Answers kept under a caller's key."""
        ...

    @property
    def requests(self) -> AsyncRequestStore:
        """Requests answered later."""
        ...

    @property
    def notifier(self) -> NodeNotifier:
        """How nodes that share it tell each other of changes; close it before the database."""
        ...

    @property
    def leader(self) -> LeaderLease:
        """Which of the nodes that share it does what one can do for all."""
        ...

    async def tidy(self) -> None:
        """Remove what the database keeps for itself and needs no more."""
        ...

    def close(self) -> None:
        """Finish what is under way and close every connection. May be repeated."""
        ...
