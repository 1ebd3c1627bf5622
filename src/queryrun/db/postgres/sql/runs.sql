-- Runs, their attempts and their history, but for claims (claims.sql) and other changes of state
-- (transitions.sql).
--
-- (r.state || '') is the state of a run that is looked up by its id. It is written so that the
-- planner does not take the condition for an invitation to read a partial index on the state, which
-- looks small to it and is full of dead entries. For the same reason coalesce(a.ended_ms, 0) = 0 is
-- an attempt that is looked up by its key and live, and a.node || '' is its node.

-- fragment: select_runs
SELECT {run_columns} FROM runs r JOIN run_requests q ON q.run_seq = r.seq

-- name: list_by_stretches
-- One page of a list. The recursion jumps through the owner's index from each entity, source and
-- state that it has runs of to the next; of each that is listed, no more runs are read than a page
-- has. What is in angles are conditions (db/list_parts.py). Indexes: runs_of_client, runs_of_tenant.
WITH RECURSIVE stretches AS (
    (SELECT r.entity_id, r.source, r.state FROM runs r WHERE <owner> AND <scope>
    ORDER BY r.entity_id, r.source, r.state LIMIT 1)
    UNION ALL
    SELECT next.* FROM stretches s CROSS JOIN LATERAL (
        SELECT r.entity_id, r.source, r.state FROM runs r
        WHERE <owner> AND <scope>
            AND (r.entity_id, r.source, r.state) > (s.entity_id, s.source, s.state)
        ORDER BY r.entity_id, r.source, r.state LIMIT 1) next
), page AS MATERIALIZED (
    SELECT found.created_ms, found.seq FROM stretches s CROSS JOIN LATERAL (
        SELECT x.created_ms, x.seq FROM runs x
        WHERE <owner_of_x> AND x.entity_id = s.entity_id AND x.source = s.source
            AND x.state = s.state AND <within>
        ORDER BY x.created_ms <order>, x.seq <order> LIMIT <limit>) found
    WHERE <listed>
    ORDER BY found.created_ms <order>, found.seq <order> LIMIT <limit>
)
SELECT {run_columns} FROM page p JOIN runs r ON r.seq = p.seq
JOIN run_requests q ON q.run_seq = r.seq
ORDER BY p.created_ms <order>, p.seq <order>;

-- name: list_by_tag
-- One page of a list of runs with a tag, of the first `<many>` that have it. Index: run_tags_pkey.
WITH tagged AS MATERIALIZED (
    SELECT x.created_ms, x.run_seq FROM run_tags x
    WHERE x.tenant_id = %(tenant_id)s AND x.name = %(name0)s AND x.value = %(value0)s AND <within>
    ORDER BY x.created_ms <order>, x.run_seq <order> LIMIT <many>
), page AS MATERIALIZED (
    SELECT x.created_ms, x.run_seq FROM tagged x CROSS JOIN LATERAL (
        SELECT r.seq FROM runs r WHERE r.seq = x.run_seq AND <listed> OFFSET 0) found
    ORDER BY x.created_ms <order>, x.run_seq <order> LIMIT <limit>
)
SELECT {run_columns} FROM page p JOIN runs r ON r.seq = p.run_seq
JOIN run_requests q ON q.run_seq = r.seq
ORDER BY p.created_ms <order>, p.run_seq <order>;

-- name: tag_has_more
-- Whether more than so many runs have the tag. Index: run_tags_pkey.
SELECT 1 FROM run_tags x
WHERE x.tenant_id = %(tenant_id)s AND x.name = %(name0)s AND x.value = %(value0)s AND <within>
LIMIT 1 OFFSET <many>;

-- name: run_by_id
-- Indexes: runs_id_key, run_requests_pkey.
{select_runs} WHERE r.id = %(run_id)s;

-- name: runs_by_seq
-- Indexes: runs_pkey, run_requests_pkey.
{select_runs} WHERE r.seq = ANY (%(seqs)s::bigint[]);

-- fragment: room
room AS MATERIALIZED (
    SELECT 1 WHERE pg_temp.queue_has_room(%(source)s, %(tenant_id)s, %(entity_id)s,
        %(client_id)s, %(max_of_entity)s, %(max_of_client)s, %(max_of_tenant)s)
)

-- fragment: insert_run
INSERT INTO runs ({new_runs_columns})
    SELECT {new_runs_values}

-- fragment: insert_request_and_history
request AS (
    INSERT INTO run_requests (run_seq, {new_run_requests_columns})
    SELECT seq, {new_run_requests_values} FROM added
), tagged AS (
    INSERT INTO run_tags (tenant_id, name, value, created_ms, run_seq)
    SELECT %(tenant_id)s, tag ->> 0, tag ->> 1, created_ms, seq
    FROM added, jsonb_array_elements(%(tags)s::jsonb) tag
), history AS (
    INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
    SELECT seq, created_ms, 0, NULL, 'accepted', NULL FROM added
), used AS (
    {add_usage}
    SELECT %(tenant_id)s, %(entity_id)s, %(client_id)s, mod(seq, 16), %(statement_bytes)s, 0,
        created_ms / 86400000, 0 FROM added
    {to_what_is_used}
), audited AS (
    INSERT INTO audit_inbox (at_ms, content)
    SELECT created_ms, %(audit)s::text FROM added WHERE %(audit)s::text IS NOT NULL
), {announce_new}, listened AS (
    INSERT INTO run_listeners (run_id, until_ms)
    SELECT %(id)s::text, created_ms + {listener_grace_ms}
        + (%(cancel_on_disconnect_s)s::float8 * 1000)::bigint
    FROM added WHERE %(cancel_on_disconnect_s)s::float8 IS NOT NULL
)
SELECT (SELECT count(*) FROM room), (SELECT max(created_ms) FROM added)

-- name: accept
-- Adds a run if its queue has room. Returns whether it had, and when the run was created.
WITH clock AS MATERIALIZED (SELECT {now} AS ms), {room}, added AS (
    {insert_run} FROM clock, room
    RETURNING seq, created_ms
), {insert_request_and_history};

-- name: accept_idempotent
-- Adds a run, and binds the key to it, if its queue has room and the key is unused. The time is
-- given: the response under the key contains it.
WITH clock AS MATERIALIZED (SELECT %(now_ms)s::bigint AS ms), {room}, reserved AS (
    {reserve} FROM clock, room {unless_used}
), added AS (
    {insert_run} FROM clock, reserved
    RETURNING seq, created_ms
), {insert_request_and_history};

-- fragment: run_of_attempt
-- The run that an attempt is looked up by. OFFSET 0 keeps the planner from reading every attempt of
-- that number, which it does while it takes the tables for empty.
(SELECT seq, attempt, state FROM runs
    WHERE id = %(run_id)s AND attempt = %(number)s OFFSET 0) r

-- name: save_handle
-- Indexes: runs_id_key, attempts_pkey.
UPDATE attempts a SET handle = %(handle)s, file_key = %(file_key)s FROM {run_of_attempt}
WHERE r.state = 'in_progress' AND a.run_seq = r.seq AND a.number = r.attempt;

-- name: extend_leases
-- Progress that is not given stays. The LATERAL with OFFSET 0 leaves nothing to a guess of the
-- planner: ids to runs, and those to their attempts. It changes no index.
-- Indexes: runs_id_key, attempts_pkey.
WITH clock AS MATERIALIZED (SELECT {now} AS ms), held AS MATERIALIZED (
    SELECT named.*, run.seq, run.state
    FROM unnest(%(run_ids)s::text[], %(numbers)s::bigint[], %(stages)s::text[],
            %(percents)s::float8[], %(rows)s::bigint[], %(sizes)s::bigint[],
            %(cpus)s::bigint[], %(memories)s::bigint[])
        AS named (run_id, number, stage, percent, written, size_bytes, cpu_ms, memory_bytes)
    CROSS JOIN LATERAL (SELECT seq, state FROM runs WHERE id = named.run_id OFFSET 0) run
)
UPDATE attempts a SET lease_until_ms = (SELECT ms FROM clock) + %(lease_ms)s,
    progress_stage = coalesce(held.stage, a.progress_stage),
    progress_percent = CASE WHEN held.stage IS NULL THEN a.progress_percent ELSE held.percent END,
    progress_rows = coalesce(held.written, a.progress_rows),
    progress_size_bytes = coalesce(held.size_bytes, a.progress_size_bytes),
    progress_cpu_ms = coalesce(held.cpu_ms, a.progress_cpu_ms),
    progress_memory_bytes = coalesce(held.memory_bytes, a.progress_memory_bytes)
FROM held WHERE a.run_seq = held.seq AND a.number = held.number
    AND coalesce(a.settling_node, a.node) = %(node)s AND coalesce(a.ended_ms, 0) = 0
RETURNING held.run_id, held.number, held.state;

-- name: progress
-- Of a live attempt. Indexes: runs_id_key, attempts_pkey.
SELECT a.progress_stage, a.progress_percent, a.progress_rows, a.progress_size_bytes,
    coalesce(a.progress_cpu_ms, 0), coalesce(a.progress_memory_bytes, 0)
FROM runs r JOIN attempts a ON a.run_seq = r.seq AND a.number = r.attempt
WHERE r.id = %(run_id)s AND coalesce(a.ended_ms, 0) = 0 AND a.progress_stage IS NOT NULL;

-- name: end_other_leases
-- Index: attempts_live.
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
UPDATE attempts SET lease_until_ms = least(lease_until_ms, (SELECT ms FROM clock))
WHERE ended_ms IS NULL AND node <> %(node)s;

-- name: expired_leases
-- Reads every live attempt, which are as many as run. Indexes: attempts_live, runs_pkey.
WITH clock AS MATERIALIZED (SELECT {now} AS ms), late AS MATERIALIZED (
    SELECT * FROM attempts
    WHERE ended_ms IS NULL AND node >= '' AND lease_until_ms <= (SELECT ms FROM clock)
    ORDER BY lease_until_ms, run_seq LIMIT %(limit)s
)
SELECT {run_columns}, a.number, a.node, a.lease_until_ms, a.handle, a.file_key FROM late a
JOIN runs r ON r.seq = a.run_seq JOIN run_requests q ON q.run_seq = r.seq
ORDER BY a.lease_until_ms, a.run_seq;

-- name: take_over
-- `node` stays: it names who ran the attempt, and may have died of it.
-- Indexes: runs_id_key, attempts_pkey.
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
UPDATE attempts a SET settling_node = %(node)s,
    lease_until_ms = (SELECT ms FROM clock) + %(lease_ms)s, progress_stage = NULL
FROM {run_of_attempt}
WHERE a.run_seq = r.seq AND a.number = r.attempt
    AND coalesce(a.ended_ms, 0) = 0 AND a.lease_until_ms <= (SELECT ms FROM clock);

-- name: events
-- The history of a run, oldest first. Index: run_events_pkey.
SELECT at_ms, attempt, event, state, detail FROM run_events
WHERE run_seq = (SELECT seq FROM runs WHERE id = %(run_id)s) ORDER BY at_ms;

-- name: queue_position
-- Counts the entity's runs before this one. Indexes: runs_id_key, runs_waiting.
SELECT (SELECT count(*) FROM runs b WHERE b.state = 'accepted' AND b.source = r.source
    AND b.tenant_id = r.tenant_id AND b.entity_id = r.entity_id
    AND (b.ready_ms, b.seq) < (r.ready_ms, r.seq))
FROM runs r WHERE r.id = %(run_id)s AND (r.state || '') = 'accepted';

-- name: counts
-- Runs that are not terminal, for metrics. Indexes: runs_waiting, runs_held.
SELECT source, state, count(*) FROM runs WHERE state = 'accepted' GROUP BY source, state
UNION ALL
SELECT source, state, count(*) FROM runs
WHERE state IN ('in_progress', 'canceling') GROUP BY source, state;

-- name: longest_queues
-- The entities with most runs waiting on a source, for metrics. Index: runs_waiting.
SELECT source, entity_id, count(*) FROM runs WHERE state = 'accepted'
GROUP BY source, tenant_id, entity_id ORDER BY count(*) DESC, source, entity_id LIMIT %(limit)s;

-- name: started_times
-- Milliseconds since each run that is started and not terminal was started first. There are as many
-- as slots. Indexes: runs_held, run_events_pkey.
SELECT {now} - (
    SELECT min(e.at_ms) FROM run_events e WHERE e.run_seq = r.seq AND e.event = 'claim')
FROM runs r WHERE r.state IN ('in_progress', 'canceling');

-- name: expired_share
-- How many runs are terminal, and how many of them are expired. Index: runs_ended.
SELECT (SELECT count(*) FROM runs WHERE state IN ('complete', 'failed', 'canceled')),
    (SELECT count(*) FROM (
        SELECT 1 FROM runs WHERE state IN ('complete', 'failed', 'canceled')
            AND updated_ms < {now} - %(retention_ms)s ORDER BY updated_ms LIMIT %(limit)s) expired);

-- name: remove_expired_runs
-- By the database's clock alone. With their history; records every file that a run or an attempt may have left.
-- Rows are found by arrays of their keys: for joins the planner reads whole tables, as it does not
-- know how few they are. Indexes: runs_ended, and the primary keys of all the others.
WITH clock AS MATERIALIZED (SELECT {now} AS ms), expired AS MATERIALIZED (
    SELECT seq, created_ms, file_key, tenant_id, entity_id, client_id,
        coalesce(file_size_bytes, 0) AS result_bytes FROM runs
    WHERE state IN ('complete', 'failed', 'canceled') AND updated_ms < (SELECT ms FROM clock) - %(retention_ms)s
    ORDER BY updated_ms LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), events AS (
    DELETE FROM run_events WHERE run_seq = ANY (ARRAY(SELECT seq FROM expired))
), attempted AS (
    DELETE FROM attempts WHERE run_seq = ANY (ARRAY(SELECT seq FROM expired))
    RETURNING run_seq, file_key
), untagged AS (
    DELETE FROM run_tags WHERE ctid = ANY (ARRAY(
        SELECT tagged.ctid FROM expired x CROSS JOIN LATERAL (
            SELECT q.tags FROM run_requests q WHERE q.run_seq = x.seq OFFSET 0) requested
        CROSS JOIN jsonb_array_elements(requested.tags::jsonb) tag CROSS JOIN LATERAL (
            SELECT g.ctid FROM run_tags g
            WHERE g.tenant_id = x.tenant_id AND g.name = tag ->> 0 AND g.value = tag ->> 1
                AND g.created_ms = x.created_ms AND g.run_seq = x.seq OFFSET 0) tagged))
), requested AS (
    DELETE FROM run_requests WHERE run_seq = ANY (ARRAY(SELECT seq FROM expired))
    RETURNING run_seq, octet_length(sql) + octet_length(parameters) - 2 AS statement_bytes
), subtracted AS (
    UPDATE usage u SET statement_bytes = u.statement_bytes - gone.statement_bytes,
        result_bytes = u.result_bytes - gone.result_bytes
    FROM (SELECT tenant_id, entity_id, client_id, mod(seq, 16) AS bucket,
            sum(statement_bytes) AS statement_bytes, sum(result_bytes) AS result_bytes
        FROM expired JOIN requested ON run_seq = seq GROUP BY 1, 2, 3, 4) gone
    WHERE u.tenant_id = gone.tenant_id AND u.entity_id = gone.entity_id
        AND u.client_id = gone.client_id AND u.bucket = gone.bucket
), recorded AS (
    INSERT INTO file_removals (file_key, recorded_ms)
    SELECT file_key, ms FROM clock, (SELECT file_key FROM expired
        UNION SELECT file_key FROM attempted) f WHERE file_key IS NOT NULL
    ON CONFLICT (file_key) DO NOTHING
), removed AS (
    DELETE FROM runs WHERE seq = ANY (ARRAY(SELECT seq FROM expired)) RETURNING seq
)
SELECT count(*) FROM removed;

-- name: record_outage
-- Index: store_outage_pkey.
INSERT INTO store_outage AS o (id, ended_ms) SELECT 1, {now} - %(age_ms)s
ON CONFLICT (id) DO UPDATE SET ended_ms = greatest(o.ended_ms, excluded.ended_ms);

-- name: outage_age
-- Index: store_outage_pkey.
SELECT {now} - ended_ms FROM store_outage WHERE id = 1;

-- name: record_removals
-- Index: file_removals_pkey.
INSERT INTO file_removals (file_key, recorded_ms)
SELECT DISTINCT file_key, {now} FROM unnest(%(keys)s::text[]) named (file_key)
ON CONFLICT (file_key) DO UPDATE SET recorded_ms = excluded.recorded_ms;

-- name: recorded_removals
-- Index: file_removals_recorded.
SELECT file_key FROM file_removals ORDER BY recorded_ms, file_key LIMIT %(limit)s;

-- name: forget_removals
-- Index: file_removals_pkey.
DELETE FROM file_removals WHERE file_key = ANY (%(keys)s::text[]);

-- name: renew_listener
-- Index: run_listeners_pkey.
UPDATE run_listeners SET until_ms = greatest(until_ms, {now} + %(for_ms)s)
WHERE run_id = %(run_id)s;

-- name: abandoned_runs
-- Indexes: run_listeners_until, runs_id_key.
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
SELECT l.run_id, (SELECT r.state FROM runs r WHERE r.id = l.run_id COLLATE "C")
FROM run_listeners l, clock WHERE l.until_ms < clock.ms ORDER BY l.until_ms LIMIT %(limit)s;

-- name: forget_listeners
DELETE FROM run_listeners WHERE run_id = ANY (%(run_ids)s::text[]);
