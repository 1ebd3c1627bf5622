"""Idempotency keys on PostgreSQL, as `accept` and `cancel` use them inside their statements."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.db.postgres.connect import Connection
from queryrun.db.rows import Values
from queryrun.errors import IdempotencyInFlight, IdempotencyMismatch
from queryrun.runs.idempotency import KEY_RESERVATION_S, KEY_RETENTION_S
from queryrun.runs.model import IdempotencyKey

RETENTION_MS = int(KEY_RETENTION_S * 1000)
RESERVATION_MS = int(KEY_RESERVATION_S * 1000)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The response under a key, and the run that the request changed, if any."""

    run_id: str | None
    response: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a lookup, and the store's time at that moment."""

    now_ms: int
    record: KeyRecord | None


def reserve_values(
    key: IdempotencyKey, *, run_id: str | None, response: bytes | None, in_flight: bool
) -> Values:
    """What `reserve_key` and `accept_idempotent` bind of the key."""
    return {
        **key_values(key),
        "fingerprint": key.fingerprint,
        "reservation_ms": RESERVATION_MS if in_flight else None,
        "retention_ms": RETENTION_MS,
        "changed_run_id": run_id,
        "response": response,
    }


def key_values(key: IdempotencyKey) -> Values:
    """What identifies a key. `key_tenant_id` is separate from the tenant of a new run."""
    return {
        "key_tenant_id": key.tenant_id,
        "key_entity_id": key.entity_id,
        "idempotency_key": key.text,
    }


def find_key(connection: Connection, statement: str, key: IdempotencyKey) -> Found:
    """The record under the key, if any. Raises the same errors as `IdempotencyStore.find_key`."""
    row = connection.execute(statement, key_values(key)).fetchone()
    assert row is not None  # noqa: S101 - a LEFT JOIN from one row
    now_ms, fingerprint, created_ms, reserved_until_ms, run_id, response = row
    if fingerprint is None or created_ms <= now_ms - RETENTION_MS:
        return Found(now_ms, None)
    in_flight = reserved_until_ms is not None and reserved_until_ms > now_ms
    if response is None and not in_flight:
        return Found(now_ms, None)
    if fingerprint != key.fingerprint:
        raise IdempotencyMismatch("this idempotency key was used for a different request")
    if in_flight:
        raise IdempotencyInFlight("the first request with this key is still in progress")
    return Found(now_ms, KeyRecord(run_id, response))
