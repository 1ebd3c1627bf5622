-- Which waiting runs to claim next: a loose index scan over the queue.

-- fragment: groups
-- The clients that have a run waiting on the source, each with its run that is ready first. The
-- recursion jumps through runs_waiting from one client to the next, so its cost grows with the
-- clients and not with the queue. It takes three look-ups, not one comparison of (tenant_id,
-- entity_id, client_id): SQLite would use only the first part of that.
WITH RECURSIVE groups (tenant_id, entity_id, client_id, ready_ms, seq) AS (
    SELECT * FROM (
        SELECT tenant_id, entity_id, client_id, ready_ms, seq FROM runs
        WHERE state = 'accepted' AND source = :source
        ORDER BY tenant_id, entity_id, client_id, ready_ms, seq LIMIT 1)
    UNION ALL
    SELECT next.tenant_id, next.entity_id, next.client_id, next.ready_ms, next.seq
    FROM groups JOIN runs next ON next.seq = coalesce(
        (SELECT seq FROM runs
         WHERE state = 'accepted' AND source = :source AND tenant_id = groups.tenant_id
            AND entity_id = groups.entity_id AND client_id > groups.client_id
         ORDER BY client_id, ready_ms, seq LIMIT 1),
        (SELECT seq FROM runs
         WHERE state = 'accepted' AND source = :source
            AND tenant_id = groups.tenant_id AND entity_id > groups.entity_id
         ORDER BY entity_id, client_id, ready_ms, seq LIMIT 1),
        (SELECT seq FROM runs
         WHERE state = 'accepted' AND source = :source AND tenant_id > groups.tenant_id
         ORDER BY tenant_id, entity_id, client_id, ready_ms, seq LIMIT 1))
)

-- name: queue_heads
-- The oldest run of each client on one source, with its entity's turn. Index: runs_waiting.
{groups}
SELECT coalesce(turn, 0), ready_ms, seq, tenant_id, entity_id, client_id
FROM groups LEFT JOIN entity_turns USING (tenant_id, entity_id);

-- name: next_ready
-- When the first run that waits out a back-off becomes ready. Index: runs_waiting.
{groups}
SELECT min((
    SELECT later.ready_ms FROM runs later
    WHERE later.state = 'accepted' AND later.source = :source
        AND later.tenant_id = groups.tenant_id AND later.entity_id = groups.entity_id
        AND later.client_id = groups.client_id AND later.ready_ms > :now_ms
    ORDER BY later.ready_ms LIMIT 1))
FROM groups;

-- name: next_of_client
-- The client's next ready run on the source. Index: runs_waiting.
SELECT ready_ms, seq FROM runs
WHERE state = 'accepted' AND source = :source AND tenant_id = :tenant_id
    AND entity_id = :entity_id AND client_id = :client_id AND ready_ms <= :now_ms
ORDER BY ready_ms, seq LIMIT 1;

-- name: running
-- Every slot in use. Index: runs_held.
SELECT source, tenant_id, entity_id, client_id, count(*) FROM runs
WHERE state IN ('in_progress', 'canceling') GROUP BY source, tenant_id, entity_id, client_id;

-- name: take_turn
-- Replaces the entity's row, which gives it the highest turn.
INSERT OR REPLACE INTO entity_turns (tenant_id, entity_id) VALUES (:tenant_id, :entity_id);

-- name: add_attempt
INSERT INTO attempts (run_seq, number, node, claimed_ms, lease_until_ms)
VALUES (:run_seq, :number, :node, :claimed_ms, :lease_until_ms);
