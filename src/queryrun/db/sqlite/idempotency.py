"""Idempotency keys on SQLite: the store, and what `accept` and `cancel` do inside their units."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from queryrun.db.rows import Values
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import to_ms
from queryrun.errors import IdempotencyInFlight, IdempotencyMismatch
from queryrun.runs.idempotency import KEY_RESERVATION_S, KEY_RETENTION_S
from queryrun.runs.model import IdempotencyKey, IdempotentWrite, Run

_RETENTION_MS = int(KEY_RETENTION_S * 1000)
_RESERVATION_MS = int(KEY_RESERVATION_S * 1000)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The response under a key, and the run that the request changed, if any."""

    run_id: str | None
    response: bytes


def find_key(connection: sqlite3.Connection, key: IdempotencyKey, now_ms: int) -> KeyRecord | None:
    """The record under the key; None when it is unused. Raises as `IdempotencyStore.find_key`."""
    row = connection.execute(SQL["find_key"], _key_values(key)).fetchone()
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
    """Bind the key to the run, reserved, with a response in case the key is never completed."""
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
    """Write the row whole: a key that counts as unused may still have one."""
    values = {
        **_key_values(key),
        "fingerprint": key.fingerprint,
        "created_ms": now_ms,
        "reserved_until_ms": reserved_until_ms,
        "run_id": run_id,
        "response": response,
    }
    connection.execute(SQL["put_key"], values)


def _key_values(key: IdempotencyKey) -> Values:
    return {
        "tenant_id": key.tenant_id,
        "entity_id": key.entity_id,
        "idempotency_key": key.text,
    }


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
        values = {**_key_values(key), "response": response}
        await self._writer.write(
            lambda db: db.execute(SQL["complete_key"], values).rowcount, durable=True
        )

    async def remove_expired_keys(self) -> int:
        """Delete keys older than `KEY_RETENTION_S`; returns how many."""
        values = {"before_ms": self._now_ms() - _RETENTION_MS}
        return await self._writer.write(
            lambda db: db.execute(SQL["remove_expired_keys"], values).rowcount, durable=False
        )

    def _now_ms(self) -> int:
        return to_ms(self._now())
