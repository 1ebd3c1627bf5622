-- Fragments that count what clients keep and have written, in the statements that change it. The
-- bucket is the run's, so that runs of one client do not wait for each other's row.

-- fragment: add_usage
INSERT INTO usage AS u (tenant_id, entity_id, client_id, bucket, statement_bytes, result_bytes,
    written_day, written_bytes)

-- fragment: to_what_is_used
ON CONFLICT (tenant_id, entity_id, client_id, bucket) DO UPDATE SET
    statement_bytes = u.statement_bytes + excluded.statement_bytes,
    result_bytes = u.result_bytes + excluded.result_bytes,
    written_bytes = excluded.written_bytes
        + CASE WHEN u.written_day = excluded.written_day THEN u.written_bytes ELSE 0 END,
    written_day = excluded.written_day

-- fragment: count_written
-- What an attempt that did not complete had written when it reported last.
written AS (
    {add_usage}
    SELECT m.tenant_id, m.entity_id, m.client_id, mod(m.seq, 16), 0, 0, m.updated_ms / 86400000,
        a.progress_size_bytes
    FROM moved m JOIN attempts a ON a.run_seq = m.seq AND a.number = m.attempt
    WHERE a.progress_size_bytes > 0
    {to_what_is_used}
)

-- fragment: add_sums
INSERT INTO usage_sums AS s (tenant_id, entity_id, client_id, day, source, outcome, cause, bucket,
    records, not_counted, cpu_ms, wall_ms, peak_memory_bytes, read_bytes, read_rows, spilled_bytes,
    written_bytes, result_rows, downloads, downloaded_bytes)

-- fragment: to_sums
ON CONFLICT (tenant_id, entity_id, client_id, day, source, outcome, cause, bucket) DO UPDATE SET
    records = s.records + excluded.records,
    not_counted = s.not_counted + excluded.not_counted,
    cpu_ms = s.cpu_ms + excluded.cpu_ms,
    wall_ms = s.wall_ms + excluded.wall_ms,
    peak_memory_bytes = greatest(s.peak_memory_bytes, excluded.peak_memory_bytes),
    read_bytes = s.read_bytes + excluded.read_bytes,
    read_rows = s.read_rows + excluded.read_rows,
    spilled_bytes = s.spilled_bytes + excluded.spilled_bytes,
    written_bytes = s.written_bytes + excluded.written_bytes,
    result_rows = s.result_rows + excluded.result_rows,
    downloads = s.downloads + excluded.downloads,
    downloaded_bytes = s.downloaded_bytes + excluded.downloaded_bytes

-- fragment: record_usage
-- What the attempt that ends here has used. What it does not say itself is taken from its last
-- progress; and the sums. Indexes: run_requests_pkey, usage_sums_pkey.
metered AS (
    INSERT INTO usage_records (run_seq, attempt, day, run_id, tenant_id, entity_id, client_id, source,
    tags, outcome, cause, cpu_ms, wall_ms, peak_memory_bytes, read_bytes, read_rows, spilled_bytes,
    written_bytes, result_rows, tables)
    SELECT m.seq, a.number, a.ended_ms / 86400000, m.id, m.tenant_id, m.entity_id, m.client_id,
        m.source, q.tags, a.outcome, coalesce(a.failure_code, a.stop_reason, a.outcome),
        coalesce(%(cpu_ms)s::bigint, a.progress_cpu_ms, 0), greatest(a.ended_ms - a.claimed_ms, 0),
        coalesce(%(peak_memory_bytes)s::bigint, a.progress_memory_bytes, 0),
        %(read_bytes)s::bigint, %(read_rows)s::bigint, %(spilled_bytes)s::bigint,
        coalesce(m.file_size_bytes, a.progress_size_bytes, 0), coalesce(m.file_rows, 0),
        %(tables)s::text
    FROM moved m JOIN ended a ON a.run_seq = m.seq JOIN run_requests q ON q.run_seq = m.seq
    RETURNING *
), summed AS (
    {add_sums}
    SELECT tenant_id, entity_id, client_id, day, source, outcome, cause, mod(run_seq, 16), 1,
        (read_bytes IS NULL OR read_rows IS NULL)::int, cpu_ms, wall_ms, peak_memory_bytes,
        coalesce(read_bytes, 0), coalesce(read_rows, 0), coalesce(spilled_bytes, 0), written_bytes,
        result_rows, 0, 0
    FROM metered
    {to_sums}
)
