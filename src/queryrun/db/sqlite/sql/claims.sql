-- Which waiting runs to claim next: a loose index scan over the queue.

-- name: queue_heads
-- The clients that have a run waiting on the source, each with its run that is ready first and its
-- entity's turn. The recursion jumps through runs_waiting from one client to the next, behind the
-- given one and around, until it has found :max_heads that may start something. It jumps over the
-- rest of an entity (skip 1) or tenant (skip 2) that has no room. So its cost grows neither with
-- the queue nor, beyond that bound, with the clients. It takes three look-ups, not one comparison
-- of (tenant_id, entity_id, client_id): SQLite would use only the first part of that.
WITH RECURSIVE groups (tenant_id, entity_id, client_id, ready_ms, seq, skip, found, wrapped) AS (
    SELECT :after_tenant, :after_entity, :after_client, NULL, NULL, 0, 0, 0
    UNION ALL
    SELECT next.tenant_id, next.entity_id, next.client_id, next.ready_ms, next.seq,
        CASE WHEN next.tenant_id IN (SELECT value FROM json_each(:full_tenants)) THEN 2
            WHEN next.tenant_id || char(10) || next.entity_id
                IN (SELECT value FROM json_each(:full_entities)) THEN 1 ELSE 0 END AS skip,
        found + (next.ready_ms <= :now_ms
            AND next.tenant_id NOT IN (SELECT value FROM json_each(:full_tenants))
            AND next.tenant_id || char(10) || next.entity_id
                NOT IN (SELECT value FROM json_each(:full_entities))
            AND next.tenant_id || char(10) || next.entity_id || char(10) || next.client_id
                NOT IN (SELECT value FROM json_each(:full_clients))),
        wrapped OR (next.tenant_id, next.entity_id, next.client_id)
            <= (groups.tenant_id, groups.entity_id, groups.client_id) AS around
    FROM groups JOIN runs next ON next.seq = coalesce(
        CASE WHEN groups.skip = 0 THEN
        (SELECT seq FROM runs INDEXED BY runs_waiting
         WHERE state = 'accepted' AND source = :source AND tenant_id = groups.tenant_id
            AND entity_id = groups.entity_id AND client_id > groups.client_id
         ORDER BY client_id, ready_ms, seq LIMIT 1) END,
        CASE WHEN groups.skip < 2 THEN
        (SELECT seq FROM runs INDEXED BY runs_waiting
         WHERE state = 'accepted' AND source = :source
            AND tenant_id = groups.tenant_id AND entity_id > groups.entity_id
         ORDER BY entity_id, client_id, ready_ms, seq LIMIT 1) END,
        (SELECT seq FROM runs INDEXED BY runs_waiting
         WHERE state = 'accepted' AND source = :source AND tenant_id > groups.tenant_id
         ORDER BY tenant_id, entity_id, client_id, ready_ms, seq LIMIT 1),
        CASE WHEN NOT groups.wrapped THEN
        (SELECT seq FROM runs INDEXED BY runs_waiting
         WHERE state = 'accepted' AND source = :source
         ORDER BY tenant_id, entity_id, client_id, ready_ms, seq LIMIT 1) END)
    WHERE found < :max_heads AND NOT (around AND (next.tenant_id, next.entity_id, next.client_id)
        > (:after_tenant, :after_entity, :after_client))
)
SELECT coalesce(turn, 0), ready_ms, seq, tenant_id, entity_id, client_id, found
FROM groups LEFT JOIN entity_turns USING (tenant_id, entity_id) WHERE seq IS NOT NULL;

-- name: next_ready
-- When the first run that waits out a back-off becomes ready. Index: runs_paused.
SELECT min(ready_ms) FROM runs INDEXED BY runs_paused
WHERE state = 'accepted' AND attempt > 0 AND source = :source AND ready_ms > :now_ms;

-- name: next_of_client
-- The client's next ready run on the source. Index: runs_waiting.
SELECT ready_ms, seq FROM runs INDEXED BY runs_waiting
WHERE state = 'accepted' AND source = :source AND tenant_id = :tenant_id
    AND entity_id = :entity_id AND client_id = :client_id AND ready_ms <= :now_ms
ORDER BY ready_ms, seq LIMIT 1;

-- name: running
-- Every slot in use. Index: runs_held.
SELECT source, tenant_id, entity_id, client_id, count(*) FROM runs INDEXED BY runs_held
WHERE state IN ('in_progress', 'canceling') GROUP BY source, tenant_id, entity_id, client_id;

-- name: take_turn
-- Replaces the entity's row, which gives it the highest turn.
INSERT OR REPLACE INTO entity_turns (tenant_id, entity_id) VALUES (:tenant_id, :entity_id);

-- name: add_attempt
INSERT INTO attempts (run_seq, number, node, claimed_ms, lease_until_ms)
VALUES (:run_seq, :number, :node, :claimed_ms, :lease_until_ms);
