"""Everything a node keeps in its database, whichever that is."""

from __future__ import annotations

from typing import Protocol

from queryrun.auth.store import AuthStore
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

    def close(self) -> None:
        """Finish what is under way and close every connection. May be repeated."""
        ...
