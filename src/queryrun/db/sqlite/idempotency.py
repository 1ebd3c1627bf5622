"""Idempotency keys on SQLite: the store, and what `accept` and `cancel` do inside their units."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import to_ms
from queryrun.errors import IdempotencyInFlight, IdempotencyMismatch
from queryrun.runs.idempotency import KEY_RESERVATION_S, KEY_RETENTION_S
from queryrun.runs.model import IdempotentWrite, Run, StoredAnswer

_KEPT_MS = int(KEY_RETENTION_S * 1000)
_IN_FLIGHT_MS = int(KEY_RESERVATION_S * 1000)

_LOOK = (
    "SELECT fingerprint, created_ms, claim_until_ms, run_id, status, body FROM idempotency"
    " WHERE tenant_id = ? AND key = ?"
)
_PUT = (
    "INSERT OR REPLACE INTO idempotency"
    " (tenant_id, key, fingerprint, created_ms, claim_until_ms, run_id, status, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_FINISH = (
    "UPDATE idempotency SET claim_until_ms = NULL, status = ?, body = ?"
    " WHERE tenant_id = ? AND key = ? AND claim_until_ms IS NOT NULL"
)
_DROP = "DELETE FROM idempotency WHERE tenant_id = ? AND key = ? AND claim_until_ms IS NOT NULL"
_EXPIRE = "DELETE FROM idempotency WHERE created_ms <= ?"


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer under a key, and the run it made, if it made one."""

    run_id: str | None
    answer: StoredAnswer


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key as one request uses it."""

    tenant_id: str
    key: str
    fingerprint: str

    @classmethod
    def of(cls, idempotent: IdempotentWrite) -> KeyUse:
        """The key without the rendering of its answer."""
        return cls(idempotent.tenant_id, idempotent.key, idempotent.fingerprint)


def look(connection: sqlite3.Connection, use: KeyUse, now_ms: int) -> Kept | None:
    """What the key holds; None when it is unused. Raises as `IdempotencyStore.find_key` says."""
    row = connection.execute(_LOOK, (use.tenant_id, use.key)).fetchone()
    if row is None:
        return None
    fingerprint, created_ms, claim_until_ms, run_id, status, body = row
    in_flight = claim_until_ms is not None and claim_until_ms > now_ms
    if created_ms <= now_ms - _KEPT_MS or (status is None and not in_flight):
        return None
    if fingerprint != use.fingerprint:
        raise IdempotencyMismatch("this idempotency key was used for a different request")
    if in_flight:
        raise IdempotencyInFlight("the first request with this key is still being answered")
    return Kept(run_id, StoredAnswer(status, body))


def keep_answer(
    connection: sqlite3.Connection, idempotent: IdempotentWrite, run: Run, now_ms: int
) -> None:
    """Bind the key to the run and store the final answer."""
    answer = idempotent.answer(run)
    key = idempotent.tenant_id, idempotent.key, idempotent.fingerprint
    connection.execute(_PUT, (*key, now_ms, None, run.id, answer.status, answer.body))


def keep_in_flight(
    connection: sqlite3.Connection, idempotent: IdempotentWrite, run: Run, now_ms: int
) -> None:
    """Bind the key to the run, in flight, with an answer for the case that nobody finishes it."""
    answer = idempotent.answer(run)
    key = idempotent.tenant_id, idempotent.key, idempotent.fingerprint
    claim_until_ms = now_ms + _IN_FLIGHT_MS
    connection.execute(_PUT, (*key, now_ms, claim_until_ms, run.id, answer.status, answer.body))


class SqliteIdempotencyStore:
    """IdempotencyStore on SQLite."""

    def __init__(self, writer: Writer, reader: Reader, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._now = now

    async def find_key(self, tenant_id: str, key: str, fingerprint: str) -> StoredAnswer | None:
        """The answer to replay, or None when the key is unused."""
        use = KeyUse(tenant_id, key, fingerprint)
        kept = self._reader.read(lambda connection: look(connection, use, self._now_ms()))
        return kept.answer if kept else None

    async def reserve_key(self, tenant_id: str, key: str, fingerprint: str) -> StoredAnswer | None:
        """Like `find_key`, and on None the key is now in flight for this caller."""
        use = KeyUse(tenant_id, key, fingerprint)

        def unit(connection: sqlite3.Connection) -> StoredAnswer | None:
            now_ms = self._now_ms()
            kept = look(connection, use, now_ms)
            if kept is not None:
                return kept.answer
            claim_until_ms = now_ms + _IN_FLIGHT_MS
            row = tenant_id, key, fingerprint, now_ms, claim_until_ms, None, None, None
            connection.execute(_PUT, row)
            return None

        return await self._writer.write(unit, durable=False)

    async def complete_key(self, tenant_id: str, key: str, answer: StoredAnswer) -> None:
        """Store the answer for replay, durably."""
        row = answer.status, answer.body, tenant_id, key
        await self._writer.write(lambda db: db.execute(_FINISH, row).rowcount, durable=True)

    async def release_key(self, tenant_id: str, key: str) -> None:
        """Free a key in flight whose outcome is not to be stored."""
        await self._writer.write(
            lambda db: db.execute(_DROP, (tenant_id, key)).rowcount, durable=False
        )

    async def remove_expired_keys(self) -> int:
        """Delete keys older than `KEY_RETENTION_S`; how many."""
        before = self._now_ms() - _KEPT_MS
        return await self._writer.write(
            lambda db: db.execute(_EXPIRE, (before,)).rowcount, durable=False
        )

    def _now_ms(self) -> int:
        return to_ms(self._now())
