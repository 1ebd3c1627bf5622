-- What must take a lock and then read, in one message: functions of our sessions (pg_temp).
--
-- A statement sees the database as of its beginning, so a lock and the read that it protects have to
-- be two statements. Inside a function they are, without a round trip between them: no lock is held
-- while a node is waited for, so a node that freezes cannot stop the others. The functions live and
-- die with a connection: each node brings its own version, and there is nothing to migrate.

-- name: create_queue_has_room
-- Whether one more run may wait. Until the end of the transaction no other node may add one.
-- Index: runs_waiting, of which it reads max_queued entries at most.
CREATE OR REPLACE FUNCTION pg_temp.queue_has_room(of_source text, of_tenant text, max_queued bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF max_queued = 0 THEN
        RETURN true;
    END IF;
    PERFORM pg_advisory_xact_lock(
        hashtextextended(of_source || E'\n' || of_tenant, {queue_lock}));
    RETURN NOT EXISTS (
        SELECT 1 FROM runs r
        WHERE r.state = 'accepted' AND r.source = of_source AND r.tenant_id = of_tenant
        ORDER BY r.entity_id, r.ready_ms, r.seq LIMIT 1 OFFSET max_queued - 1);
END $$;

-- fragment: choice
-- Which runs are next, in which order. It reads the parameters sources, limits, slots and now_ms.
RECURSIVE given AS MATERIALIZED (
    SELECT source, max_running
    FROM unnest(sources, limits) AS listed (source, max_running)
), groups (source, tenant_id, entity_id, max_running, room) AS (
    -- The entities that have something waiting, and how many more runs their tenant may have
    -- running on the source. It jumps through runs_waiting from each entity to the next, so its
    -- cost grows with them and not with the queue.
    SELECT w.source, first.tenant_id, first.entity_id, w.max_running,
        CASE WHEN w.max_running = 0 THEN slots
        ELSE w.max_running - (SELECT count(*) FROM runs r
            WHERE r.state IN ('in_progress', 'canceling')
                AND r.source = w.source AND r.tenant_id = first.tenant_id) END
    FROM given w CROSS JOIN LATERAL (
        SELECT r.tenant_id, r.entity_id FROM runs r
        WHERE r.state = 'accepted' AND r.source = w.source
        ORDER BY r.tenant_id, r.entity_id LIMIT 1) first
    UNION ALL
    SELECT g.source, next.tenant_id, next.entity_id, g.max_running,
        CASE WHEN g.max_running = 0 OR next.tenant_id = g.tenant_id THEN g.room
        ELSE g.max_running - (SELECT count(*) FROM runs r
            WHERE r.state IN ('in_progress', 'canceling')
                AND r.source = g.source AND r.tenant_id = next.tenant_id) END
    FROM groups g CROSS JOIN LATERAL (
        SELECT r.tenant_id, r.entity_id FROM runs r
        WHERE r.state = 'accepted' AND r.source = g.source
            AND (r.tenant_id, r.entity_id) > (g.tenant_id, g.entity_id)
        ORDER BY r.tenant_id, r.entity_id LIMIT 1) next
), heads AS MATERIALIZED (
    -- The oldest ready run of each entity, no more of a tenant than it has room for.
    SELECT * FROM (
        SELECT e.*, head.ready_ms, head.seq, coalesce(u.turn, 0) AS turn,
            row_number() OVER (PARTITION BY e.source, e.tenant_id
                ORDER BY coalesce(u.turn, 0), head.ready_ms, head.seq) AS rank
        FROM groups e
        LEFT JOIN entity_turns u ON u.tenant_id = e.tenant_id AND u.entity_id = e.entity_id
        CROSS JOIN LATERAL (
            SELECT r.ready_ms, r.seq FROM runs r
            WHERE r.state = 'accepted' AND r.source = e.source AND r.tenant_id = e.tenant_id
                AND r.entity_id = e.entity_id AND r.ready_ms <= now_ms
            ORDER BY r.ready_ms, r.seq LIMIT 1) head
        WHERE e.room > 0) ranked
    WHERE rank <= room ORDER BY turn, ready_ms, seq LIMIT slots
), candidates AS (
    -- What these entities have waiting. Each head will be taken, so no entity can get more than
    -- the slots that the other heads leave.
    SELECT e.source, e.tenant_id, e.entity_id, e.turn, e.room, own.ready_ms, own.seq,
        e.ready_ms AS head_ms, e.seq AS head_seq,
        row_number() OVER (PARTITION BY e.source, e.tenant_id, e.entity_id
            ORDER BY own.ready_ms, own.seq) AS depth
    FROM heads e CROSS JOIN LATERAL (
        SELECT r.ready_ms, r.seq FROM runs r
        WHERE r.state = 'accepted' AND r.source = e.source AND r.tenant_id = e.tenant_id
            AND r.entity_id = e.entity_id AND r.ready_ms <= now_ms
        ORDER BY r.ready_ms, r.seq LIMIT slots + 1 - (SELECT count(*) FROM heads)) own
), within_limits AS (
    SELECT * FROM (
        SELECT c.*, row_number() OVER (PARTITION BY source, tenant_id
            ORDER BY depth, turn, head_ms, head_seq) AS rank
        FROM candidates c) ranked
    WHERE rank <= room
), rounds AS (
    -- One run of each entity, then a second of each, whatever the source.
    SELECT w.*, row_number() OVER entity AS round,
        first_value(ready_ms) OVER entity AS first_ms, first_value(seq) OVER entity AS first_seq
    FROM within_limits w
    WINDOW entity AS (PARTITION BY tenant_id, entity_id ORDER BY ready_ms, seq)
), picked AS MATERIALIZED (
    SELECT seq, row_number() OVER (ORDER BY round, turn, first_ms, first_seq) AS position
    FROM rounds ORDER BY position LIMIT slots
)

-- name: create_claim_runs
-- Claims the runs that are next. Claims of a source are taken one at a time, whoever asks: two nodes
-- that choose at once would choose the same runs, and exceed a tenant's limit together.
-- Indexes: runs_waiting, runs_held.
CREATE OR REPLACE FUNCTION pg_temp.claim_runs(
    for_node text, lease_ms bigint, sources text[], limits bigint[], slots bigint)
RETURNS TABLE (run_seq bigint, number bigint, at_ms bigint, lease_until_ms bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    now_ms bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(k) FROM (
        SELECT hashtextextended(s, {claim_lock}) AS k FROM unnest(sources) s ORDER BY 1) keys;
    now_ms := {now};
    RETURN QUERY WITH {choice}, free AS MATERIALIZED (
        -- A run that is being canceled at this moment is left to the cancel.
        SELECT r.seq, p.position FROM runs r JOIN picked p USING (seq)
        WHERE r.state = 'accepted' ORDER BY p.position FOR UPDATE OF r SKIP LOCKED
    ), moved AS (
        UPDATE runs r SET state = 'in_progress', attempt = r.attempt + 1,
            started_ms = greatest(now_ms, r.updated_ms + 1),
            updated_ms = greatest(now_ms, r.updated_ms + 1)
        FROM free f WHERE r.seq = f.seq AND r.state = 'accepted'
        RETURNING r.seq, r.attempt, r.updated_ms, r.tenant_id, r.entity_id, f.position
    ), history AS (
        INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
        SELECT seq, updated_ms, attempt, 'claim', 'in_progress', for_node FROM moved
    ), started AS (
        INSERT INTO attempts (run_seq, number, node, claimed_ms, lease_until_ms)
        SELECT seq, attempt, for_node, updated_ms, now_ms + lease_ms FROM moved
    ), served AS (
        INSERT INTO entity_turns (turn, tenant_id, entity_id)
        SELECT nextval('turns'), tenant_id, entity_id FROM (
            SELECT tenant_id, entity_id FROM moved GROUP BY tenant_id, entity_id
            ORDER BY max(position)) s
        ON CONFLICT (tenant_id, entity_id) DO UPDATE SET turn = excluded.turn
    )
    SELECT seq, attempt, updated_ms, now_ms + lease_ms FROM moved ORDER BY position;
END $$;

-- name: claim
SELECT run_seq, number, at_ms, lease_until_ms FROM pg_temp.claim_runs(
    %(node)s::text, %(lease_ms)s, %(sources)s::text[], %(limits)s::bigint[], %(slots)s);

-- name: next_ready
-- When the first run that waits out a back-off becomes ready. Index: runs_waiting.
WITH RECURSIVE clock AS MATERIALIZED (
    SELECT {now} AS ms
), given AS (
    SELECT unnest(%(sources)s::text[]) AS source
), groups AS (
    SELECT w.source, first.tenant_id, first.entity_id
    FROM given w CROSS JOIN LATERAL (
        SELECT r.tenant_id, r.entity_id FROM runs r
        WHERE r.state = 'accepted' AND r.source = w.source
        ORDER BY r.tenant_id, r.entity_id LIMIT 1) first
    UNION ALL
    SELECT g.source, next.tenant_id, next.entity_id
    FROM groups g CROSS JOIN LATERAL (
        SELECT r.tenant_id, r.entity_id FROM runs r
        WHERE r.state = 'accepted' AND r.source = g.source
            AND (r.tenant_id, r.entity_id) > (g.tenant_id, g.entity_id)
        ORDER BY r.tenant_id, r.entity_id LIMIT 1) next
)
SELECT min(later.ready_ms) FROM groups g CROSS JOIN LATERAL (
    SELECT r.ready_ms FROM runs r
    WHERE r.state = 'accepted' AND r.source = g.source AND r.tenant_id = g.tenant_id
        AND r.entity_id = g.entity_id AND r.ready_ms > (SELECT ms FROM clock)
    ORDER BY r.ready_ms LIMIT 1) later;
