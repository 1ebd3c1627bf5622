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
from queryrun.runs.model import IdempotencyKey, IdempotentWrite, Run

_RETENTION_MS = int(KEY_RETENTION_S * 1000)
_RESERVATION_MS = int(KEY_RESERVATION_S * 1000)

_FIND = (
    "SELECT fingerprint, created_ms, reserved_until_ms, run_id, response FROM idempotency_keys"
    " WHERE tenant_id = ? AND idempotency_key = ?"
)
_PUT = (
    "INSERT OR REPLACE INTO idempotency_keys"
    " (tenant_id, idempotency_key, fingerprint, created_ms, reserved_until_ms, run_id, response)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_COMPLETE = (
    "UPDATE idempotency_keys SET reserved_until_ms = NULL, response = ?"
    " WHERE tenant_id = ? AND idempotency_key = ? AND reserved_until_ms IS NOT NULL"
)
_RELEASE = (
    "DELETE FROM idempotency_keys"
    " WHERE tenant_id = ? AND idempotency_key = ? AND reserved_until_ms IS NOT NULL"
)
_EXPIRE = "DELETE FROM idempotency_keys WHERE created_ms <= ?"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The response under a key, and the run that the request changed, if any."""

    run_id: str | None
    response: bytes


def find_key(connection: sqlite3.Connection, key: IdempotencyKey, now_ms: int) -> KeyRecord | None:
    """The record under the key; None when it is unused. Raises as `IdempotencyStore.find_key`."""
    row = connection.execute(_FIND, (key.tenant_id, key.text)).fetchone()
    if row is None:
        return None
    fingerprint, created_ms, reserved_until_ms, run_id, response = row
    in_flight = reserved_until_ms is not None and reserved_until_ms > now_ms
    if created_ms <= now_ms - _RETENTION_MS or (response is None and not in_flight):
        return None
    if fingerprint != key.fingerprint:
        raise IdempotencyMismatch("this idempotency key was used for a different request")
    if in_flight:
        raise IdempotencyInFlight("the first request with this key is still in progress")
    return KeyRecord(run_id, response)


def store_response(
    connection: sqlite3.Connection, write: IdempotentWrite, run: Run, now_ms: int
) -> None:
    """Bind the key to the run and store the final response."""
    _put(connection, write.idempotency_key, now_ms, None, run.id, write.response(run))


def store_reserved(
    connection: sqlite3.Connection, write: IdempotentWrite, run: Run, now_ms: int
) -> None:
    """Bind the key to the run, reserved, with a response in case nobody completes it."""
    until_ms = now_ms + _RESERVATION_MS
    _put(connection, write.idempotency_key, now_ms, until_ms, run.id, write.response(run))


def _put(
    connection: sqlite3.Connection,
    key: IdempotencyKey,
    now_ms: int,
    reserved_until_ms: int | None,
    run_id: str | None,
    response: bytes | None,
) -> None:
    owner = key.tenant_id, key.text, key.fingerprint
    connection.execute(_PUT, (*owner, now_ms, reserved_until_ms, run_id, response))


class SqliteIdempotencyStore:
    """IdempotencyStore on SQLite."""

    def __init__(self, writer: Writer, reader: Reader, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._now = now

    async def find_key(self, key: IdempotencyKey) -> bytes | None:
        """The response to replay, or None when the key is unused."""
        record = self._reader.read(lambda db: find_key(db, key, self._now_ms()))
        return record.response if record else None

    async def reserve_key(self, key: IdempotencyKey) -> bytes | None:
        """Like `find_key`; None means that the key is now reserved for this caller."""

        def unit(connection: sqlite3.Connection) -> bytes | None:
            now_ms = self._now_ms()
            record = find_key(connection, key, now_ms)
            if record is not None:
                return record.response
            _put(connection, key, now_ms, now_ms + _RESERVATION_MS, None, None)
            return None

        return await self._writer.write(unit, durable=False)

    async def complete_key(self, key: IdempotencyKey, response: bytes) -> None:
        """Store the response for replay, durably."""
        values = response, key.tenant_id, key.text
        await self._writer.write(lambda db: db.execute(_COMPLETE, values).rowcount, durable=True)

    async def release_key(self, key: IdempotencyKey) -> None:
        """Free a reserved key whose response is not to be stored."""
        values = key.tenant_id, key.text
        await self._writer.write(lambda db: db.execute(_RELEASE, values).rowcount, durable=False)

    async def remove_expired_keys(self) -> int:
        """Delete keys older than `KEY_RETENTION_S`; returns how many."""
        before = self._now_ms() - _RETENTION_MS
        return await self._writer.write(
            lambda db: db.execute(_EXPIRE, (before,)).rowcount, durable=False
        )

    def _now_ms(self) -> int:
        return to_ms(self._now())
