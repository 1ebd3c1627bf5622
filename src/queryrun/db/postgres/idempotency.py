"""Idempotency keys on PostgreSQL, as `accept` and `cancel` use them inside their statements."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.db.postgres.connect import Connection
from queryrun.errors import IdempotencyInFlight, IdempotencyMismatch
from queryrun.runs.idempotency import KEY_RESERVATION_S, KEY_RETENTION_S
from queryrun.runs.model import StoredAnswer

KEPT_MS = int(KEY_RETENTION_S * 1000)
IN_FLIGHT_MS = int(KEY_RESERVATION_S * 1000)

TAKE = f"""
INSERT INTO idempotency AS kept
    (tenant_id, key, fingerprint, created_ms, claim_until_ms, run_id, status, body)
SELECT %(tenant)s, %(key)s, %(fingerprint)s, clock.ms, clock.ms + %(in_flight_ms)s::bigint,
    %(kept_run)s::text, %(status)s::bigint, %(body)s::bytea
FROM clock {{also}}
ON CONFLICT (tenant_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,
    created_ms = excluded.created_ms, claim_until_ms = excluded.claim_until_ms,
    run_id = excluded.run_id, status = excluded.status, body = excluded.body
WHERE kept.created_ms <= excluded.created_ms - {KEPT_MS}
    OR (kept.status IS NULL AND coalesce(kept.claim_until_ms, 0) <= excluded.created_ms)
RETURNING 1 AS taken
"""
"""Bind the key to this request, if it is unused; no row when it is not. `clock` is a CTE."""


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

    def taken_by(
        self, *, run_id: str | None, answer: StoredAnswer | None, in_flight: bool
    ) -> dict[str, object]:
        """The parameters of `TAKE`."""
        return {
            "tenant": self.tenant_id,
            "key": self.key,
            "fingerprint": self.fingerprint,
            "in_flight_ms": IN_FLIGHT_MS if in_flight else None,
            "kept_run": run_id,
            "status": answer.status if answer else None,
            "body": answer.body if answer else None,
        }


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look found, and the store's time at that moment."""

    now_ms: int
    kept: Kept | None


def look_sql(now: str) -> str:
    """The statement of `look`; always one row."""
    return f"""
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
SELECT clock.ms, i.fingerprint, i.created_ms, i.claim_until_ms, i.run_id, i.status, i.body
FROM clock LEFT JOIN idempotency i ON i.tenant_id = %(tenant)s AND i.key = %(key)s
"""


def look(connection: Connection, statement: str, use: KeyUse) -> Looked:
    """What the key holds, if anything. Raises as `IdempotencyStore.find_key` says."""
    row = connection.execute(statement, {"tenant": use.tenant_id, "key": use.key}).fetchone()
    assert row is not None  # noqa: S101 - a LEFT JOIN from one row
    now_ms, fingerprint, created_ms, claim_until_ms, run_id, status, body = row
    if fingerprint is None or created_ms <= now_ms - KEPT_MS:
        return Looked(now_ms, None)
    in_flight = claim_until_ms is not None and claim_until_ms > now_ms
    if status is None and not in_flight:
        return Looked(now_ms, None)
    if fingerprint != use.fingerprint:
        raise IdempotencyMismatch("this idempotency key was used for a different request")
    if in_flight:
        raise IdempotencyInFlight("the first request with this key is still being answered")
    return Looked(now_ms, Kept(run_id, StoredAnswer(status, body)))
