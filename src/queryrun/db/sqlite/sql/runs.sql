-- Runs, their attempts and their history, but for the changes of state (transitions.sql).

-- fragment: select_runs
SELECT {run_columns} FROM runs r JOIN run_requests q ON q.run_seq = r.seq

-- name: list_by_stretches
-- One page of a list. The recursion jumps through the owner's index from each entity, source and
-- state that it has runs of to the next; of each that is listed, no more runs are read than a page
-- has. What is in angles are conditions (db/list_parts.py). Indexes: runs_of_client, runs_of_tenant.
WITH RECURSIVE stretches (entity_id, source, state) AS (
    SELECT * FROM (
        SELECT entity_id, source, state FROM runs r WHERE <owner> AND <scope>
        ORDER BY entity_id, source, state LIMIT 1)
    UNION ALL
    SELECT next.entity_id, next.source, next.state
    FROM stretches s JOIN runs next ON next.seq = coalesce(
        (SELECT seq FROM runs r
         WHERE <owner> AND entity_id = s.entity_id AND source = s.source
            AND state > s.state
         ORDER BY state, created_ms, seq LIMIT 1),
        (SELECT seq FROM runs r
         WHERE <owner> AND entity_id = s.entity_id AND source > s.source
         ORDER BY source, state, created_ms, seq LIMIT 1),
        (SELECT seq FROM runs r
         WHERE <owner> AND entity_id > s.entity_id AND <scope>
         ORDER BY entity_id, source, state, created_ms, seq LIMIT 1))
), page AS MATERIALIZED (
    SELECT r.created_ms, r.seq FROM stretches s CROSS JOIN runs r
    WHERE <listed> AND r.seq IN (
        SELECT x.seq FROM runs x
        WHERE <owner_of_x> AND x.entity_id = s.entity_id AND x.source = s.source
            AND x.state = s.state AND <within>
        ORDER BY x.created_ms <order>, x.seq <order> LIMIT :limit)
    ORDER BY r.created_ms <order>, r.seq <order> LIMIT :limit
)
SELECT {run_columns} FROM page p CROSS JOIN runs r ON r.seq = p.seq
JOIN run_requests q ON q.run_seq = r.seq
ORDER BY p.created_ms <order>, p.seq <order>;

-- name: list_by_tag
-- One page of a list of runs with a tag, of the first :many that have it. Index: the primary key of
-- run_tags.
WITH tagged AS MATERIALIZED (
    SELECT x.created_ms, x.run_seq FROM run_tags x
    WHERE x.tenant_id = :tenant_id AND x.name = :name0 AND x.value = :value0 AND <within>
    ORDER BY x.created_ms <order>, x.run_seq <order> LIMIT :many
), page AS MATERIALIZED (
    SELECT x.created_ms, x.run_seq FROM tagged x CROSS JOIN runs r ON r.seq = x.run_seq
    WHERE <listed> ORDER BY x.created_ms <order>, x.run_seq <order> LIMIT :limit
)
SELECT {run_columns} FROM page p CROSS JOIN runs r ON r.seq = p.run_seq
JOIN run_requests q ON q.run_seq = r.seq
ORDER BY p.created_ms <order>, p.run_seq <order>;

-- name: tag_has_more
-- Whether more than :many runs have the tag. Index: the primary key of run_tags.
SELECT 1 FROM run_tags x
WHERE x.tenant_id = :tenant_id AND x.name = :name0 AND x.value = :value0 AND <within>
LIMIT 1 OFFSET :many;

-- name: run_by_id
-- Indexes: the unique one on runs (id), the primary key of run_requests.
{select_runs} WHERE r.id = :run_id;

-- name: run_by_seq
-- Indexes: the primary keys of runs and run_requests.
{select_runs} WHERE r.seq = :seq;

-- name: add_run
INSERT INTO runs ({new_runs_columns}) VALUES ({new_runs_values});

-- name: add_request
INSERT INTO run_requests (run_seq, {new_run_requests_columns})
VALUES (:seq, {new_run_requests_values});

-- name: queue_reaches
-- Whether more than :beyond runs of the entity wait: it reads that many entries of runs_waiting.
SELECT 1 FROM runs INDEXED BY runs_waiting WHERE state = 'accepted' AND source = :source AND tenant_id = :tenant_id
    AND entity_id = :entity_id
LIMIT 1 OFFSET :beyond;

-- name: queue_of_client_reaches
-- The same of one client. Index: runs_waiting.
SELECT 1 FROM runs INDEXED BY runs_waiting WHERE state = 'accepted' AND source = :source AND tenant_id = :tenant_id
    AND entity_id = :entity_id AND client_id = :client_id
LIMIT 1 OFFSET :beyond;

-- name: queue_of_tenant_reaches
-- The same of the tenant with all its entities. Index: runs_waiting.
SELECT 1 FROM runs WHERE state = 'accepted' AND source = :source AND tenant_id = :tenant_id
LIMIT 1 OFFSET :beyond;

-- name: save_handle
-- Indexes: the unique one on runs (id), the primary key of attempts.
UPDATE attempts SET handle = :handle, file_key = :file_key
WHERE number = :number AND run_seq = (
    SELECT seq FROM runs WHERE id = :run_id AND attempt = :number AND state = 'in_progress');

-- name: extend_lease
-- Progress that is not given stays. Indexes: the unique one on runs (id), the primary key of
-- attempts. It changes no index.
UPDATE attempts SET lease_until_ms = :lease_until_ms,
    progress_stage = coalesce(:stage, progress_stage),
    progress_percent = CASE WHEN :stage IS NULL THEN progress_percent ELSE :percent END,
    progress_rows = coalesce(:rows, progress_rows),
    progress_size_bytes = coalesce(:size_bytes, progress_size_bytes),
    progress_cpu_ms = coalesce(:cpu_ms, progress_cpu_ms),
    progress_memory_bytes = coalesce(:memory_bytes, progress_memory_bytes)
WHERE run_seq = (SELECT seq FROM runs WHERE id = :run_id) AND number = :number
    AND coalesce(settling_node, node) = :node AND ended_ms IS NULL;

-- name: state_of_attempt
-- Index: the unique one on runs (id).
SELECT state FROM runs WHERE id = :run_id AND attempt = :number;

-- name: progress
-- Of a live attempt. Indexes: the unique one on runs (id), the primary key of attempts.
SELECT a.progress_stage, a.progress_percent, a.progress_rows, a.progress_size_bytes,
    coalesce(a.progress_cpu_ms, 0), coalesce(a.progress_memory_bytes, 0)
FROM runs r JOIN attempts a ON a.run_seq = r.seq AND a.number = r.attempt
WHERE r.id = :run_id AND a.ended_ms IS NULL AND a.progress_stage IS NOT NULL;

-- name: end_pauses
-- At the start of the node: the clock may have been set back while it did not run, and nothing has
-- to wait for what a pause was there for. Index: runs_waiting.
UPDATE runs INDEXED BY runs_waiting SET ready_ms = :now_ms
WHERE state = 'accepted' AND ready_ms > :now_ms;

-- name: end_other_leases
-- Index: attempts_live.
UPDATE attempts SET lease_until_ms = min(lease_until_ms, :now_ms)
WHERE ended_ms IS NULL AND node <> :node;

-- name: expired_leases
-- Reads every live attempt, which are as many as run. Index: attempts_live.
SELECT {run_columns}, a.number, a.node, a.lease_until_ms, a.handle, a.file_key
FROM attempts a INDEXED BY attempts_live
JOIN runs r ON r.seq = a.run_seq JOIN run_requests q ON q.run_seq = r.seq
WHERE a.ended_ms IS NULL AND a.lease_until_ms <= :now_ms
ORDER BY a.lease_until_ms, a.run_seq LIMIT :limit;

-- name: take_over
-- `node` stays: it names who ran the attempt, and may have died of it.
-- Indexes: the unique one on runs (id), the primary key of attempts.
UPDATE attempts SET settling_node = :node, lease_until_ms = :lease_until_ms, progress_stage = NULL
WHERE run_seq = (SELECT seq FROM runs WHERE id = :run_id AND attempt = :number)
    AND number = :number AND ended_ms IS NULL AND lease_until_ms <= :now_ms;

-- name: events
-- The history of a run, oldest first. Index: the primary key of run_events.
SELECT at_ms, attempt, event, state, detail FROM run_events
WHERE run_seq = (SELECT seq FROM runs WHERE id = :run_id) ORDER BY at_ms;

-- name: queue_position
-- Counts the entity's runs before this one. Index: runs_waiting.
SELECT (SELECT count(*) FROM runs b INDEXED BY runs_waiting WHERE b.state = 'accepted' AND b.source = r.source
    AND b.tenant_id = r.tenant_id AND b.entity_id = r.entity_id
    AND (b.ready_ms, b.seq) < (r.ready_ms, r.seq))
FROM runs r WHERE r.id = :run_id AND r.state = 'accepted';

-- name: counts
-- Runs that are not terminal, for metrics. Indexes: runs_waiting, runs_held.
SELECT source, state, count(*) FROM runs INDEXED BY runs_waiting
WHERE state = 'accepted' GROUP BY source
UNION ALL
SELECT source, state, count(*) FROM runs INDEXED BY runs_held
WHERE state IN ('in_progress', 'canceling') GROUP BY source, state;

-- name: longest_queues
-- The entities with most runs waiting on a source, for metrics. Index: runs_waiting.
SELECT source, entity_id, count(*) FROM runs INDEXED BY runs_waiting WHERE state = 'accepted'
GROUP BY source, tenant_id, entity_id ORDER BY count(*) DESC, source, entity_id LIMIT :limit;

-- name: started_times
-- Milliseconds since each run that is started and not terminal was started first. There are as many
-- as slots. Indexes: runs_held, and the primary key of run_events.
SELECT :now_ms - (
    SELECT min(e.at_ms) FROM run_events e WHERE e.run_seq = r.seq AND e.event = 'claim')
FROM runs r INDEXED BY runs_held WHERE r.state IN ('in_progress', 'canceling');

-- name: expired_share
-- How many runs are terminal, and how many of them are expired. Index: runs_ended.
SELECT (SELECT count(*) FROM runs INDEXED BY runs_ended
        WHERE state IN ('complete', 'failed', 'canceled')),
    (SELECT count(*) FROM (
        SELECT 1 FROM runs INDEXED BY runs_ended
        WHERE state IN ('complete', 'failed', 'canceled')
            AND updated_ms < :before_ms ORDER BY updated_ms LIMIT :limit));

-- name: expired_runs
-- Index: runs_ended.
SELECT seq FROM runs INDEXED BY runs_ended
WHERE state IN ('complete', 'failed', 'canceled') AND updated_ms < :before_ms
ORDER BY updated_ms LIMIT :limit;

-- name: record_files
-- Every file that the run or one of its attempts has or may have left.
INSERT OR IGNORE INTO file_removals (file_key, recorded_ms)
SELECT file_key, :now_ms FROM runs WHERE seq = :seq AND file_key IS NOT NULL
UNION SELECT file_key, :now_ms FROM attempts WHERE run_seq = :seq AND file_key IS NOT NULL;

-- name: record_outage
INSERT INTO store_outage (id, ended_ms) VALUES (1, :ended_ms)
ON CONFLICT (id) DO UPDATE SET ended_ms = max(ended_ms, excluded.ended_ms);

-- name: outage_ended
SELECT ended_ms FROM store_outage WHERE id = 1;

-- name: record_removal
INSERT OR REPLACE INTO file_removals (file_key, recorded_ms) VALUES (:file_key, :now_ms);

-- name: recorded_removals
-- Index: file_removals_recorded.
SELECT file_key FROM file_removals ORDER BY recorded_ms, file_key LIMIT :limit;

-- name: forget_removal
DELETE FROM file_removals WHERE file_key = :file_key;

-- name: remove_events
DELETE FROM run_events WHERE run_seq = :seq;

-- name: remove_attempts
DELETE FROM attempts WHERE run_seq = :seq;

-- name: add_tags
INSERT INTO run_tags (tenant_id, name, value, created_ms, run_seq)
SELECT :tenant_id, json_extract(value, '$[0]'), json_extract(value, '$[1]'), :created_ms, :seq
FROM json_each(:tags);

-- name: remove_tags
-- Index: the primary key of run_tags.
DELETE FROM run_tags WHERE (tenant_id, name, value, created_ms, run_seq) IN (
    SELECT r.tenant_id, json_extract(t.value, '$[0]'), json_extract(t.value, '$[1]'),
        r.created_ms, r.seq
    FROM runs r JOIN run_requests q ON q.run_seq = r.seq, json_each(q.tags) t WHERE r.seq = :seq);

-- name: remove_request
DELETE FROM run_requests WHERE run_seq = :seq;

-- name: remove_run
DELETE FROM runs WHERE seq = :seq;

-- name: add_listener
INSERT INTO run_listeners (run_id, until_ms) VALUES (:run_id, :until_ms);

-- name: renew_listener
-- Index: the primary key of run_listeners.
UPDATE run_listeners SET until_ms = max(until_ms, :until_ms) WHERE run_id = :run_id;

-- name: abandoned_runs
-- Indexes: run_listeners_until, the unique one on runs (id).
SELECT l.run_id, r.state FROM run_listeners l LEFT JOIN runs r ON r.id = l.run_id
WHERE l.until_ms < :now_ms ORDER BY l.until_ms LIMIT :limit;

-- name: forget_listener
DELETE FROM run_listeners WHERE run_id = :run_id;
