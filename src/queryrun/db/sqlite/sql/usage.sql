-- What clients keep and have written. All use the primary key of usage.

-- name: add_usage
INSERT INTO usage (tenant_id, entity_id, client_id, statement_bytes, result_bytes, written_day,
    written_bytes)
SELECT tenant_id, entity_id, client_id, :statement_bytes, :result_bytes, :day, :written_bytes
FROM runs WHERE seq = :seq
ON CONFLICT (tenant_id, entity_id, client_id, bucket) DO UPDATE SET
    statement_bytes = statement_bytes + excluded.statement_bytes,
    result_bytes = result_bytes + excluded.result_bytes,
    written_bytes = excluded.written_bytes
        + CASE WHEN written_day = excluded.written_day THEN written_bytes ELSE 0 END,
    written_day = excluded.written_day;

-- name: subtract_usage
-- What a run that is removed has kept. Indexes: the primary keys of runs and run_requests.
UPDATE usage SET statement_bytes = usage.statement_bytes - gone.statement_bytes,
    result_bytes = usage.result_bytes - gone.result_bytes
FROM (SELECT r.tenant_id, r.entity_id, r.client_id, length(CAST(q.sql AS BLOB)) AS statement_bytes,
        coalesce(r.file_size_bytes, 0) AS result_bytes
    FROM runs r JOIN run_requests q ON q.run_seq = r.seq WHERE r.seq = :seq) gone
WHERE usage.tenant_id = gone.tenant_id AND usage.entity_id = gone.entity_id
    AND usage.client_id = gone.client_id;

-- name: written_by_attempt
-- What an attempt that did not complete had written when it reported last.
SELECT coalesce(progress_size_bytes, 0) FROM attempts WHERE run_seq = :seq AND number = :number;

-- name: usage_of_entity
SELECT client_id, statement_bytes, result_bytes,
    CASE WHEN written_day = :day THEN written_bytes ELSE 0 END
FROM usage WHERE tenant_id = :tenant_id AND entity_id = :entity_id;
