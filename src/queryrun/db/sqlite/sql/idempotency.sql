-- Idempotency keys. All but the last statement use the primary key of idempotency_keys.

-- name: find_key
SELECT fingerprint, created_ms, reserved_until_ms, run_id, response FROM idempotency_keys
WHERE tenant_id = :tenant_id AND entity_id = :entity_id AND idempotency_key = :idempotency_key;

-- name: put_key
INSERT OR REPLACE INTO idempotency_keys
    (tenant_id, entity_id, idempotency_key, fingerprint, created_ms, reserved_until_ms, run_id,
    response)
VALUES (:tenant_id, :entity_id, :idempotency_key, :fingerprint, :created_ms, :reserved_until_ms,
    :run_id, :response);

-- name: complete_key
-- Only while it is reserved: a completed key keeps its response.
UPDATE idempotency_keys SET reserved_until_ms = NULL, response = :response
WHERE tenant_id = :tenant_id AND entity_id = :entity_id AND idempotency_key = :idempotency_key
    AND reserved_until_ms IS NOT NULL;

-- name: remove_expired_keys
-- Reads the whole table, from time to time.
DELETE FROM idempotency_keys WHERE created_ms <= :before_ms;
