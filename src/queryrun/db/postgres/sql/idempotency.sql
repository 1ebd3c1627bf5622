-- Idempotency keys. All but the last statement use the primary key of idempotency_keys.

-- fragment: reserve
-- Binds the key to this request if it is unused; returns no row when it is not. It needs the CTE
-- clock, and is followed by what it is to be read from and by unless_used.
INSERT INTO idempotency_keys AS kept
    (tenant_id, entity_id, idempotency_key, fingerprint, created_ms, reserved_until_ms, run_id,
    response)
SELECT %(key_tenant_id)s, %(key_entity_id)s, %(idempotency_key)s, %(fingerprint)s, clock.ms,
    clock.ms + %(reservation_ms)s::bigint, %(changed_run_id)s::text, %(response)s::bytea

-- fragment: unless_used
ON CONFLICT (tenant_id, entity_id, idempotency_key) DO UPDATE SET fingerprint = excluded.fingerprint,
    created_ms = excluded.created_ms, reserved_until_ms = excluded.reserved_until_ms,
    run_id = excluded.run_id, response = excluded.response
WHERE kept.created_ms <= excluded.created_ms - %(retention_ms)s
    OR (kept.response IS NULL AND coalesce(kept.reserved_until_ms, 0) <= excluded.created_ms)
RETURNING 1 AS reserved

-- name: reserve_key
-- One row when the key is now this request's; none when it is used.
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
{reserve} FROM clock {unless_used};

-- name: find_key
-- Always one row, with the time.
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
SELECT clock.ms, i.fingerprint, i.created_ms, i.reserved_until_ms, i.run_id, i.response
FROM clock LEFT JOIN idempotency_keys i
    ON i.tenant_id = %(key_tenant_id)s AND i.entity_id = %(key_entity_id)s
    AND i.idempotency_key = %(idempotency_key)s;

-- name: complete_key
-- Only while it is reserved: a completed key keeps its response.
UPDATE idempotency_keys SET reserved_until_ms = NULL, response = %(response)s::bytea
WHERE tenant_id = %(key_tenant_id)s AND entity_id = %(key_entity_id)s
    AND idempotency_key = %(idempotency_key)s
    AND reserved_until_ms IS NOT NULL;

-- name: forget_key
-- Of a run that has been removed.
DELETE FROM idempotency_keys
WHERE tenant_id = %(key_tenant_id)s AND entity_id = %(key_entity_id)s
    AND idempotency_key = %(idempotency_key)s
    AND run_id = %(changed_run_id)s;

-- name: remove_expired_keys
-- Index: idempotency_keys_created.
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
DELETE FROM idempotency_keys USING clock WHERE created_ms <= ms - %(retention_ms)s;
