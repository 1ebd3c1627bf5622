-- What clients keep and have written. All use the primary key of usage. Sorted after runs.sql and
-- transitions.sql, whose fragments are in db/postgres/sql/accounting.sql.

-- name: add_download
-- Indexes: runs_id_key, run_requests_pkey, usage_records_pkey, usage_sums_pkey.
WITH clock AS MATERIALIZED (SELECT {now} AS ms), metered AS (
    INSERT INTO usage_records AS u (run_seq, attempt, day, run_id, tenant_id, entity_id, client_id,
        source, tags, outcome, cause, downloads, downloaded_bytes)
    SELECT r.seq, 0, clock.ms / 86400000, r.id, r.tenant_id, r.entity_id, r.client_id, r.source,
        q.tags, 'download', 'download', 1, %(size_bytes)s::bigint
    FROM clock, runs r JOIN run_requests q ON q.run_seq = r.seq WHERE r.id = %(run_id)s
    ON CONFLICT (run_seq, attempt, day) DO UPDATE SET downloads = u.downloads + 1,
        downloaded_bytes = u.downloaded_bytes + excluded.downloaded_bytes
    RETURNING *
)
{add_sums}
SELECT tenant_id, entity_id, client_id, day, source, outcome, cause, mod(run_seq, 16),
    (downloads = 1)::int, (downloads = 1)::int, 0, 0, 0, 0, 0, 0, 0, 0, 1, %(size_bytes)s::bigint
FROM metered
{to_sums};

-- name: remove_usage_records
-- Index: usage_of_days, for each tenant.
DELETE FROM usage_records WHERE (run_seq, attempt, day) IN (
    SELECT u.run_seq, u.attempt, u.day FROM tenants t
    JOIN usage_records u ON u.tenant_id = t.id AND u.day < %(day)s LIMIT %(limit)s);

-- name: remove_usage_sums
-- Index: usage_sums_of_days, for each tenant.
DELETE FROM usage_sums WHERE tenant_id IN (SELECT id FROM tenants) AND day < %(day)s;

-- name: stored_by_tenant
SELECT coalesce(sum(result_bytes), 0)::bigint FROM usage WHERE tenant_id = %(tenant_id)s;

-- name: usage_of_entity
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
SELECT client_id, sum(statement_bytes)::bigint, sum(result_bytes)::bigint,
    (sum(written_bytes) FILTER (WHERE written_day = ms / 86400000))::bigint
FROM usage, clock WHERE tenant_id = %(tenant_id)s AND entity_id = %(entity_id)s
GROUP BY client_id;
