-- What clients keep and have written. All use the primary key of usage.

-- name: add_usage
INSERT INTO usage (tenant_id, entity_id, client_id, statement_bytes, result_bytes, written_day,
    written_bytes)
VALUES (:tenant_id, :entity_id, :client_id, :statement_bytes, :result_bytes, :day, :written_bytes)
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
FROM (SELECT r.tenant_id, r.entity_id, r.client_id, 
        length(CAST(q.sql AS BLOB)) + length(CAST(q.parameters AS BLOB)) - 2 AS statement_bytes,
        coalesce(r.file_size_bytes, 0) AS result_bytes
    FROM runs r JOIN run_requests q ON q.run_seq = r.seq WHERE r.seq = :seq) gone
WHERE usage.tenant_id = gone.tenant_id AND usage.entity_id = gone.entity_id
    AND usage.client_id = gone.client_id;

-- name: written_by_attempt
-- What an attempt that did not complete had written when it reported last.
SELECT coalesce(progress_size_bytes, 0) FROM attempts WHERE run_seq = :seq AND number = :number;

-- name: record_usage
-- An attempt that has just been ended. What it does not say itself is taken from its last progress.
-- Triggers add it to the sums. Indexes: the primary keys of runs, attempts and run_requests.
INSERT INTO usage_records (run_seq, attempt, day, run_id, tenant_id, entity_id, client_id, source,
    tags, outcome, cause, cpu_ms, wall_ms, peak_memory_bytes, read_bytes, read_rows, spilled_bytes,
    written_bytes, result_rows, tables)
SELECT r.seq, a.number, a.ended_ms / 86400000, r.id, r.tenant_id, r.entity_id, r.client_id,
    r.source, q.tags, a.outcome, coalesce(a.failure_code, a.stop_reason, a.outcome),
    coalesce(:cpu_ms, a.progress_cpu_ms, 0), max(a.ended_ms - a.claimed_ms, 0),
    coalesce(:peak_memory_bytes, a.progress_memory_bytes, 0), :read_bytes, :read_rows,
    :spilled_bytes, coalesce(r.file_size_bytes, a.progress_size_bytes, 0),
    coalesce(r.file_rows, 0), :tables
FROM runs r JOIN attempts a ON a.run_seq = r.seq JOIN run_requests q ON q.run_seq = r.seq
WHERE r.seq = :seq AND a.number = :number;

-- name: add_download
-- Indexes: the unique one on runs (id), the primary key of run_requests.
INSERT INTO usage_records (run_seq, attempt, day, run_id, tenant_id, entity_id, client_id, source,
    tags, outcome, cause, downloads, downloaded_bytes)
SELECT r.seq, 0, :day, r.id, r.tenant_id, r.entity_id, r.client_id, r.source, q.tags, 'download',
    'download', 1, :size_bytes
FROM runs r JOIN run_requests q ON q.run_seq = r.seq WHERE r.id = :run_id
ON CONFLICT (run_seq, attempt, day) DO UPDATE SET downloads = downloads + 1,
    downloaded_bytes = downloaded_bytes + excluded.downloaded_bytes;

-- name: remove_usage_records
-- Index: usage_of_days, for each tenant.
DELETE FROM usage_records WHERE (run_seq, attempt, day) IN (
    SELECT u.run_seq, u.attempt, u.day FROM tenants t
    JOIN usage_records u ON u.tenant_id = t.id AND u.day < :day LIMIT :limit);

-- name: remove_usage_sums
-- Index: usage_sums_of_days, for each tenant.
DELETE FROM usage_sums WHERE tenant_id IN (SELECT id FROM tenants) AND day < :day;

-- name: stored_by_tenant
SELECT coalesce(sum(result_bytes), 0) FROM usage WHERE tenant_id = :tenant_id;

-- name: usage_of_entity
SELECT client_id, statement_bytes, result_bytes,
    CASE WHEN written_day = :day THEN written_bytes ELSE 0 END
FROM usage WHERE tenant_id = :tenant_id AND entity_id = :entity_id;
