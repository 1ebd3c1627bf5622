"""Idempotency keys on PostgreSQL, as `accept` and `cancel` use them inside their statements."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.db.postgres.connect import Connection
from queryrun.errors import IdempotencyInFlight, IdempotencyMismatch
from queryrun.runs.idempotency import KEY_RESERVATION_S, KEY_RETENTION_S
from queryrun.runs.model import IdempotencyKey

RETENTION_MS = int(KEY_RETENTION_S * 1000)
RESERVATION_MS = int(KEY_RESERVATION_S * 1000)

RESERVE = f"""
INSERT INTO idempotency_keys AS kept
    (tenant_id, idempotency_key, fingerprint, created_ms, reserved_until_ms, run_id, response)
SELECT %(tenant)s, %(idempotency_key)s, %(fingerprint)s, clock.ms,
    clock.ms + %(reservation_ms)s::bigint, %(changed_run)s::text, %(response)s::bytea
FROM clock {{also}}
ON CONFLICT (tenant_id, idempotency_key) DO UPDATE SET fingerprint = excluded.fingerprint,
    created_ms = excluded.created_ms, reserved_until_ms = excluded.reserved_until_ms,
    run_id = excluded.run_id, response = excluded.response
WHERE kept.created_ms <= excluded.created_ms - {RETENTION_MS}
    OR (kept.response IS NULL AND coalesce(kept.reserved_until_ms, 0) <= excluded.created_ms)
RETURNING 1 AS taken
"""
"""Bind the key to this request, if it is unused; no row when it is not. `clock` is a CTE."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The response under a key, and the run that the request changed, if any."""

    run_id: str | None
    response: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a look-up, and the store's time at that moment."""

    now_ms: int
    record: KeyRecord | None


def reserve_values(
    key: IdempotencyKey, *, run_id: str | None, response: bytes | None, in_flight: bool
) -> dict[str, object]:
    """The parameters of `RESERVE`."""
    return {
        "tenant": key.tenant_id,
        "idempotency_key": key.text,
        "fingerprint": key.fingerprint,
        "reservation_ms": RESERVATION_MS if in_flight else None,
        "changed_run": run_id,
        "response": response,
    }


def find_sql(now: str) -> str:
    """The statement of `find_key`; always one row."""
    return f"""
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
SELECT clock.ms, i.fingerprint, i.created_ms, i.reserved_until_ms, i.run_id, i.response
FROM clock LEFT JOIN idempotency_keys i
    ON i.tenant_id = %(tenant)s AND i.idempotency_key = %(idempotency_key)s
"""


def find_key(connection: Connection, statement: str, key: IdempotencyKey) -> Found:
    """The record under the key, if any. Raises as `IdempotencyStore.find_key` says."""
    values = {"tenant": key.tenant_id, "idempotency_key": key.text}
    row = connection.execute(statement, values).fetchone()
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
