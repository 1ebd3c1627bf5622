"""The AuditStore protocol: an append-only log, chained per database."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from queryrun.audit.model import AuditEntry, ChainedEntry, ChainHead, WaitingEntries

SEALED_AT_ONCE = 500
"""Entries that one `seal` takes into the chain."""


class AuditStore(Protocol):
    """The log of all nodes on a database. `RunStore.accept` appends to it too.

    Where several nodes write, an entry is first appended, which no other entry waits for, and a
    moment later sealed: put at the end of the chain, with its digest. One node seals at a time.
    Where there is one writer, entries are sealed as they are appended.
    """

    async def append(self, entry: AuditEntry, *, durable: bool = False) -> None:
        """Add an entry. It survives a killed process and, with `durable`, a power cut."""
        ...

    async def seal(self) -> int:
        """Take up to `SEALED_AT_ONCE` waiting entries into the chain; returns how many."""
        ...

    async def head(self) -> ChainHead:
        """Where the chain ends and begins."""
        ...

    async def waiting(self) -> WaitingEntries:
        """What has been appended and not sealed."""
        ...

    async def entries(self, *, after: int, limit: int) -> list[ChainedEntry]:
        """Sealed entries behind a position, in order."""
        ...

    async def entries_before(self, *, before: int | None, limit: int) -> list[ChainedEntry]:
        """Sealed entries in front of a position, or at the end of the chain, newest first."""
        ...

    async def remove_expired_entries(self, *, before: datetime, limit: int) -> int:
        """Remove sealed entries that are older, from the beginning of the chain; returns how many.

        The chain then begins behind them, and an entry says so.
        """
        ...
