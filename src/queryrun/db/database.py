"""Everything a node keeps in its database, whichever that is."""

from __future__ import annotations

from typing import Protocol

from queryrun.auth.store import AuthStore
from queryrun.runs.chores import Chores
from queryrun.runs.notify import NodeNotifier
from queryrun.runs.once import IdempotencyStore
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.store import RunStore


class Database(Protocol):
    """One open database and every store in it (`db.sqlite.open`, `db.postgres.open`)."""

    @property
    def runs(self) -> RunStore:
        """Runs, their attempts and their history."""
        ...

    @property
    def auth(self) -> AuthStore:
        """Clients, entities and tokens."""
        ...

    @property
    def once(self) -> IdempotencyStore:
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
    def chores(self) -> Chores:
        """Which of the nodes that share it does what one can do for all."""
        ...

    async def tidy(self) -> None:
        """Remove what the database keeps for itself and needs no more."""
        ...

    def close(self) -> None:
        """Finish what is under way and close every connection. May be repeated."""
        ...
