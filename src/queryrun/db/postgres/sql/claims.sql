-- What must take a lock and then read, in one message: functions of our sessions (pg_temp).
--
-- A statement sees the database as of its beginning, so a lock and the read that it protects have to
-- be two statements. Inside a function they are, without a round trip between them: no lock is held
-- while a node is waited for, so a node that freezes cannot stop the others. The functions live and
-- die with a connection: each node brings its own version, and there is nothing to migrate.

-- name: create_queue_has_room
-- Whether one more run of this client may wait. Until the end of the transaction no other node may
-- add one of its entity, or of its tenant where that has a limit. Index: runs_waiting, of which it
-- reads as many entries as may wait.
CREATE OR REPLACE FUNCTION pg_temp.queue_has_room(
    of_source text, of_tenant text, of_entity text, of_client text,
    max_of_entity bigint, max_of_client bigint, max_of_tenant bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF max_of_entity = 0 AND max_of_client = 0 AND max_of_tenant = 0 THEN
        RETURN true;
    END IF;
    IF max_of_tenant > 0 THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(
            of_source || E'\n' || of_tenant, {queue_lock}));
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(
        of_source || E'\n' || of_tenant || E'\n' || of_entity, {queue_lock}));
    RETURN NOT EXISTS (
        SELECT 1 FROM runs r
        WHERE max_of_entity > 0 AND r.state = 'accepted' AND r.source = of_source
            AND r.tenant_id = of_tenant AND r.entity_id = of_entity
        ORDER BY r.client_id, r.ready_ms, r.seq LIMIT 1 OFFSET greatest(max_of_entity, 1) - 1
    ) AND NOT EXISTS (
        SELECT 1 FROM runs r
        WHERE max_of_client > 0 AND r.state = 'accepted' AND r.source = of_source
            AND r.tenant_id = of_tenant AND r.entity_id = of_entity AND r.client_id = of_client
        ORDER BY r.ready_ms, r.seq LIMIT 1 OFFSET greatest(max_of_client, 1) - 1
    ) AND NOT EXISTS (
        SELECT 1 FROM runs r
        WHERE max_of_tenant > 0 AND r.state = 'accepted' AND r.source = of_source
            AND r.tenant_id = of_tenant
        ORDER BY r.entity_id, r.client_id, r.ready_ms, r.seq
        LIMIT 1 OFFSET greatest(max_of_tenant, 1) - 1);
END $$;

-- fragment: own_of_tenant
(SELECT max_running FROM own WHERE whose = 'tenant' AND subject = tenant_id)

-- fragment: own_of_entity
(SELECT max_running FROM own WHERE whose = 'entity' AND subject = entity_id)

-- fragment: own_of_client
(SELECT max_running FROM own WHERE whose = 'client' AND subject = client_id)

-- fragment: choice
-- Which runs are next, in which order. It reads the parameters sources, the limits, where to begin,
-- max_heads, slots, fair_slots and now_ms. `level` is how many runs an entity would have running with this one: the
-- lowest level comes first, so that what runs is shared evenly.
RECURSIVE given AS MATERIALIZED (
    SELECT source, max_tenant, max_entity, max_client, after_tenant COLLATE "C" AS after_tenant,
        after_entity COLLATE "C" AS after_entity, after_client COLLATE "C" AS after_client
    FROM unnest(sources, tenant_limits, entity_limits, client_limits,
            after_tenants, after_entities, after_clients)
        AS listed (source, max_tenant, max_entity, max_client,
            after_tenant, after_entity, after_client)
), own AS MATERIALIZED (
    -- Limits of single tenants, entities and clients on each source: the smaller counts.
    SELECT whose, subject, max_running FROM unnest(own_levels, own_subjects, own_limits)
        AS listed (whose, subject, max_running)
), running AS MATERIALIZED (
    -- Every slot in use. Index: runs_held.
    SELECT source, tenant_id, entity_id, client_id, count(*) AS runs FROM runs
    WHERE state IN ('in_progress', 'canceling') GROUP BY source, tenant_id, entity_id, client_id
), holders AS MATERIALIZED (
    -- The entities that run, and how many of their tenant do; `max_tenant / holding` is the largest
    -- share that one of them can have, because those that wait share too.
    SELECT source, tenant_id, entity_id, runs, tenant_runs, holding,
        least(max_tenant, {own_of_tenant}) AS max_tenant,
        least(max_entity, {own_of_entity}) AS max_entity
    FROM (SELECT source, tenant_id, entity_id, sum(runs) AS runs,
            (sum(sum(runs)) OVER tenant) AS tenant_runs, (count(*) OVER tenant) AS holding
        FROM running GROUP BY source, tenant_id, entity_id
        WINDOW tenant AS (PARTITION BY source, tenant_id)) held
    JOIN given USING (source)
), full_clients AS MATERIALIZED (
    SELECT source, tenant_id, entity_id, client_id FROM running JOIN given USING (source)
    WHERE runs >= least(max_client, {own_of_client})
), groups AS (
    -- The clients that have something waiting, each with its run that is ready first. It jumps
    -- through runs_waiting from each to the next, behind the given one and around, until it has
    -- found max_heads of a source that may start something, and over the rest of an entity (skip 1)
    -- or tenant (skip 2) that has no room. So its cost grows neither with the queue nor, beyond
    -- that bound, with the clients.
    SELECT source, after_tenant AS tenant_id, after_entity AS entity_id, after_client AS client_id,
        NULL::bigint AS ready_ms, NULL::bigint AS seq, 0 AS skip, 0::bigint AS found,
        false AS wrapped
    FROM given
    UNION ALL
    SELECT g.source, next.tenant_id, next.entity_id, next.client_id, next.ready_ms, next.seq,
        room.skip, g.found + CASE WHEN next.ready_ms <= now_ms AND room.skip = 0
            AND (g.source, next.tenant_id, next.entity_id, next.client_id) NOT IN (
                SELECT source, tenant_id, entity_id, client_id FROM full_clients)
            THEN 1 ELSE 0 END,
        next.wrapped
    FROM groups g JOIN given USING (source) CROSS JOIN LATERAL (
        (SELECT r.tenant_id, r.entity_id, r.client_id, r.ready_ms, r.seq, g.wrapped FROM runs r
        WHERE r.state = 'accepted' AND r.source = g.source
            AND (r.tenant_id, r.entity_id, r.client_id) > (g.tenant_id,
                CASE WHEN g.skip > 1 THEN {last_id} ELSE g.entity_id END,
                CASE WHEN g.skip > 0 THEN {last_id} ELSE g.client_id END)
        ORDER BY r.tenant_id, r.entity_id, r.client_id, r.ready_ms, r.seq LIMIT 1)
        UNION ALL
        (SELECT r.tenant_id, r.entity_id, r.client_id, r.ready_ms, r.seq, true FROM runs r
        WHERE NOT g.wrapped AND r.state = 'accepted' AND r.source = g.source
        ORDER BY r.tenant_id, r.entity_id, r.client_id, r.ready_ms, r.seq LIMIT 1)
        LIMIT 1) next
    CROSS JOIN LATERAL (SELECT CASE
        WHEN (g.source, next.tenant_id) IN (
            SELECT source, tenant_id FROM holders WHERE holding >= max_tenant) THEN 2
        WHEN (g.source, next.tenant_id, next.entity_id) IN (
            SELECT source, tenant_id, entity_id FROM holders
            WHERE runs >= max_entity OR (tenant_runs >= max_tenant
                AND runs >= greatest(max_tenant / holding, 1))) THEN 1
        WHEN slots = 0 AND (next.tenant_id, next.entity_id) IN (
            SELECT tenant_id, entity_id FROM running) THEN 1
        ELSE 0 END AS skip) room
    WHERE g.found < max_heads AND NOT (next.wrapped
        AND (next.tenant_id, next.entity_id, next.client_id)
            > (given.after_tenant, given.after_entity, given.after_client))
), waiting AS MATERIALIZED (
    -- The oldest ready run of each client that may start one.
    SELECT * FROM (
        SELECT source, tenant_id, entity_id, client_id, ready_ms, seq,
            least(max_client, {own_of_client}) - coalesce(running.runs, 0) AS client_room
        FROM groups g JOIN given USING (source)
        LEFT JOIN running USING (source, tenant_id, entity_id, client_id)
        WHERE skip = 0 AND ready_ms <= now_ms) ready
    WHERE client_room > 0
), entities AS (
    -- The entities that run or wait; how many runs each has on the source, and on all of them; and
    -- when its oldest run that may start was ready, and which it is. Everything about them comes from
    -- here by windows: joins of what has no index compare each with each.
    SELECT source, tenant_id, entity_id, sum(runs)::bigint AS runs,
        (sum(sum(runs)) OVER (PARTITION BY tenant_id, entity_id))::bigint AS runs_anywhere,
        min(oldest) AS oldest
    FROM (SELECT source, tenant_id, entity_id, runs, NULL::bigint[] AS oldest FROM running
        UNION ALL SELECT source, tenant_id, entity_id, 0, NULL FROM groups WHERE seq IS NOT NULL
        UNION ALL SELECT source, tenant_id, entity_id, 0, ARRAY[ready_ms, seq] FROM waiting) active
    GROUP BY source, tenant_id, entity_id
), shares AS (
    SELECT *, greatest(max_tenant / count(*) OVER tenant, 1) AS share,
        (sum(runs) OVER tenant)::bigint AS tenant_runs
    FROM (SELECT e.*, least(max_tenant, {own_of_tenant}) AS max_tenant,
            least(max_entity, {own_of_entity}) AS max_entity
        FROM entities e JOIN given USING (source)) limited
    WINDOW tenant AS (PARTITION BY source, tenant_id)
), rooms AS (
    -- What a tenant may still start; and what entities below their share may, for whom nothing
    -- counts that another entity holds beyond its own.
    SELECT *, max_tenant - tenant_runs AS room,
        max_tenant - (sum(least(runs, share)) OVER (PARTITION BY source, tenant_id))::bigint
            AS shared_room
    FROM shares
), heads AS MATERIALIZED (
    -- The oldest such run of each entity, no more of a tenant than it has room for.
    SELECT * FROM (
        SELECT source, tenant_id, entity_id, oldest[1] AS ready_ms, oldest[2] AS seq, runs,
            runs_anywhere, coalesce(u.turn, 0) AS turn, max_entity - runs AS entity_room, share,
            room, shared_room,
            row_number() OVER (PARTITION BY source, tenant_id
                ORDER BY runs, coalesce(u.turn, 0), oldest) AS rank
        FROM rooms LEFT JOIN entity_turns u USING (tenant_id, entity_id)
        WHERE oldest IS NOT NULL AND runs < max_entity
            AND (slots > 0 OR runs_anywhere = 0)) ranked
    WHERE rank <= room OR (runs < share AND rank <= shared_room)
    ORDER BY runs_anywhere, turn, ready_ms, seq LIMIT slots + fair_slots
), candidates AS (
    -- What these entities have waiting, of each no more than could be taken.
    SELECT h.*, own.ready_ms AS own_ms, own.seq AS own_seq,
        row_number() OVER (PARTITION BY h.source, h.tenant_id, h.entity_id
            ORDER BY own.ready_ms, own.seq) AS depth
    FROM heads h CROSS JOIN LATERAL (
        SELECT run.ready_ms, run.seq FROM waiting w CROSS JOIN LATERAL (
            SELECT r.ready_ms, r.seq FROM runs r
            WHERE r.state = 'accepted' AND r.source = w.source AND r.tenant_id = w.tenant_id
                AND r.entity_id = w.entity_id AND r.client_id = w.client_id
                AND r.ready_ms <= now_ms
            ORDER BY r.ready_ms, r.seq LIMIT least(w.client_room, slots + fair_slots)) run
        WHERE w.source = h.source AND w.tenant_id = h.tenant_id AND w.entity_id = h.entity_id
        ORDER BY run.ready_ms, run.seq LIMIT least(h.entity_room, slots + fair_slots)) own
), within_limits AS (
    SELECT * FROM (
        SELECT c.*, row_number() OVER (PARTITION BY source, tenant_id
            ORDER BY runs + depth, turn, ready_ms, seq) AS run_rank
        FROM candidates c) ranked
    WHERE run_rank <= room OR (runs + depth <= share AND run_rank <= shared_room)
), levels AS (
    -- One run of each entity, then a second of each, whatever the source.
    SELECT w.*, runs_anywhere + row_number() OVER entity AS level,
        first_value(own_ms) OVER entity AS first_ms, first_value(own_seq) OVER entity AS first_seq
    FROM within_limits w
    WINDOW entity AS (PARTITION BY tenant_id, entity_id ORDER BY own_ms, own_seq)
), picked AS MATERIALIZED (
    -- Beyond the slots, only the first run of an entity that has none.
    SELECT own_seq AS seq, position FROM (
        SELECT own_seq, level,
            row_number() OVER (ORDER BY level, turn, first_ms, first_seq) AS position
        FROM levels) ordered
    WHERE position <= slots OR (level = 1 AND position <= slots + fair_slots)
)

-- name: create_claim_runs
-- Claims the runs that are next. Claims of a source are taken one at a time, whoever asks: two nodes
-- that choose at once would choose the same runs, and exceed a tenant's limit together. A last row
-- without a run says that there are clients which it has not considered.
-- Indexes: runs_waiting, runs_held.
CREATE OR REPLACE FUNCTION pg_temp.claim_runs(
    for_node text, lease_ms bigint, sources text[], tenant_limits bigint[], entity_limits bigint[],
    client_limits bigint[], own_levels text[], own_subjects text[], own_limits bigint[],
    after_tenants text[], after_entities text[], after_clients text[],
    max_heads bigint, slots bigint, fair_slots bigint)
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
        RETURNING r.*, f.position
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
    ), {announce}
    (SELECT seq, attempt, updated_ms, now_ms + lease_ms FROM moved ORDER BY position)
    UNION ALL
    SELECT NULL, NULL, NULL, NULL WHERE EXISTS (SELECT FROM groups WHERE found >= max_heads);
END $$;

-- name: claim
SELECT run_seq, number, at_ms, lease_until_ms FROM pg_temp.claim_runs(
    %(node)s::text, %(lease_ms)s, %(sources)s::text[], %(tenant_limits)s::bigint[],
    %(entity_limits)s::bigint[], %(client_limits)s::bigint[], %(own_levels)s::text[],
    %(own_subjects)s::text[], %(own_limits)s::bigint[], %(after_tenants)s::text[],
    %(after_entities)s::text[], %(after_clients)s::text[], %(max_heads)s, %(slots)s, %(fair_slots)s);

-- name: next_ready
-- Milliseconds until the first run that waits out a back-off becomes ready. Index: runs_paused.
SELECT (SELECT min((
        SELECT r.ready_ms FROM runs r
        WHERE r.state = 'accepted' AND r.attempt > 0 AND r.source = given.source
            AND r.ready_ms > clock.ms
        ORDER BY r.ready_ms LIMIT 1))
    FROM unnest(%(sources)s::text[]) AS given (source)) - clock.ms
FROM (SELECT {now} AS ms OFFSET 0) clock;
