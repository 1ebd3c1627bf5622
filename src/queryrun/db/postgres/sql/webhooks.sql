-- Webhooks, and the outbox of their deliveries (announce.sql writes it).

-- name: announce_request
-- The outcome of an asynchronous request, once for each callout, whoever writes it.
-- Index: webhooks_of_entity.
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
INSERT INTO webhook_deliveries (id, webhook_id, receiver, tenant_id, entity_id, client_id, event, at_ms,
    since_ms, next_ms, run_id, content)
SELECT 'msg_' || %(request_id)s || '_' || w.seq, w.id, w.id, w.tenant_id, w.entity_id,
    %(client_id)s, %(event)s, ms, ms, ms, %(run_id)s, %(content)s
FROM webhooks w, clock
WHERE w.tenant_id = %(tenant_id)s AND w.entity_id = %(entity_id)s AND w.kind = 'callout'
    AND (w.of_entity = 1 OR w.client_id = %(client_id)s)
    AND position(' ' || %(event)s || ' ' in w.events) > 0
    AND {owner_is_live}
ORDER BY w.seq
ON CONFLICT (id) DO NOTHING;

-- name: announce_limit
-- A submit that a limit has refused, once for each webhook and key. Index: webhooks_of_entity.
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
INSERT INTO webhook_deliveries (id, webhook_id, receiver, tenant_id, entity_id, client_id, event, at_ms,
    since_ms, next_ms, source, content)
SELECT 'msg_' || %(key)s || '_' || w.seq, w.id, w.id, w.tenant_id, w.entity_id, %(client_id)s,
    %(event)s, ms, ms, ms, %(source)s, %(content)s
FROM webhooks w, clock
WHERE w.tenant_id = %(tenant_id)s AND w.entity_id = %(entity_id)s AND w.kind = 'webhook'
    AND (w.of_entity = 1 OR w.client_id = %(client_id)s)
    AND position(' ' || %(event)s || ' ' in w.events) > 0
    AND {owner_is_live}
ORDER BY w.seq
ON CONFLICT (id) DO NOTHING;

-- fragment: webhook_columns
w.id, w.kind, w.tenant_id, w.entity_id, w.client_id, w.url, w.events, w.description, w.of_entity,
    w.is_paused, w.secret, w.previous_secret, w.previous_until_ms, w.credentials, w.created_ms,
    w.updated_ms

-- name: add_webhook
INSERT INTO webhooks (id, kind, tenant_id, entity_id, client_id, url, events, description,
    of_entity, is_paused, secret, credentials, created_ms, updated_ms)
SELECT %(id)s, %(kind)s, %(tenant_id)s, %(entity_id)s, %(client_id)s, %(url)s, %(events)s,
    %(description)s, %(of_entity)s, %(is_paused)s, %(secret)s, %(credentials)s, %(created_ms)s,
    %(created_ms)s
WHERE (SELECT count(*) FROM webhooks WHERE tenant_id = %(tenant_id)s AND entity_id = %(entity_id)s
    AND client_id = %(client_id)s) < %(max_per_client)s
ON CONFLICT DO NOTHING;

-- name: webhook_by_id
SELECT {webhook_columns} FROM webhooks w WHERE w.id = %(id)s;

-- name: webhooks_of_entity
-- Index: webhooks_of_entity.
SELECT {webhook_columns} FROM webhooks w
WHERE w.tenant_id = %(tenant_id)s AND w.entity_id = %(entity_id)s ORDER BY w.seq;

-- name: change_webhook
UPDATE webhooks SET url = %(url)s, events = %(events)s, description = %(description)s,
    is_paused = %(is_paused)s, updated_ms = %(updated_ms)s
WHERE id = %(id)s AND url = %(url_before)s AND events = %(events_before)s
    AND description = %(description_before)s AND is_paused = %(is_paused_before)s;

-- name: change_webhook_secrets
UPDATE webhooks SET secret = %(secret)s, previous_secret = %(previous_secret)s,
    previous_until_ms = %(previous_until_ms)s, credentials = %(credentials)s
WHERE id = %(id)s AND secret = %(secret_before)s;

-- name: remove_webhook
-- What waits is given up. Index: webhook_deliveries_due.
WITH given_up AS (
    UPDATE webhook_deliveries SET state = 'dead', ended_ms = {now}
    WHERE state = 'pending'
        AND (receiver = %(id)s OR (receiver > %(id)s || ' ' AND receiver < %(id)s || '!'))
)
DELETE FROM webhooks WHERE id = %(id)s;

-- fragment: delivery_columns
d.seq, d.receiver, d.since_ms, d.id, d.webhook_id, d.tenant_id, d.entity_id, d.client_id, d.event,
    d.at_ms, d.state, d.attempts, d.next_ms, d.url, d.run_id, d.source, d.run_state, d.run_attempt,
    d.code, d.content, d.ended_ms

-- fragment: receivers
-- The receivers that have something pending. It jumps through webhook_deliveries_due from one to the
-- next.
RECURSIVE clock AS MATERIALIZED (SELECT {now} AS ms), receivers (receiver) AS (
    (SELECT receiver FROM webhook_deliveries WHERE state = 'pending' ORDER BY receiver LIMIT 1)
    UNION ALL
    SELECT (SELECT d.receiver FROM webhook_deliveries d WHERE d.state = 'pending' AND d.receiver > receivers.receiver
        ORDER BY d.receiver LIMIT 1) FROM receivers WHERE receivers.receiver IS NOT NULL
), open_receivers AS MATERIALIZED (
    SELECT receivers.receiver FROM receivers JOIN webhooks w ON w.id = split_part(receivers.receiver, ' ', 1)
    WHERE w.is_paused = 0
)

-- name: any_due
WITH {receivers}
SELECT 1 FROM open_receivers l CROSS JOIN clock
WHERE EXISTS (SELECT 1 FROM webhook_deliveries d
    WHERE d.state = 'pending' AND d.receiver = l.receiver AND d.next_ms <= clock.ms)
LIMIT 1;

-- name: claim_deliveries
-- What is due, the longest due first, without what waits for an earlier event of its run. What
-- another node claims at this moment is skipped.
-- Indexes: webhook_deliveries_due, webhook_deliveries_of_run, webhooks_id_key.
WITH {receivers}, due AS MATERIALIZED (
    SELECT own.seq FROM open_receivers l
    LEFT JOIN unnest(%(receivers)s::text[], %(rooms)s::bigint[]) AS room (receiver, free) USING (receiver)
    CROSS JOIN clock CROSS JOIN LATERAL (
        SELECT d.seq, d.next_ms FROM webhook_deliveries d
        WHERE d.state = 'pending' AND d.receiver = l.receiver AND d.next_ms <= clock.ms
            AND NOT EXISTS (SELECT 1 FROM webhook_deliveries b WHERE b.state = 'pending'
                AND b.run_seq = d.run_seq AND b.receiver = d.receiver AND b.seq < d.seq)
        ORDER BY d.next_ms, d.seq LIMIT coalesce(room.free, %(per_receiver)s)) own
    ORDER BY own.next_ms, own.seq LIMIT %(free)s
), unclaimed AS MATERIALIZED (
    SELECT d.seq FROM webhook_deliveries d JOIN due USING (seq) CROSS JOIN clock
    WHERE d.state = 'pending' AND d.next_ms <= clock.ms FOR UPDATE OF d SKIP LOCKED
), begun AS (
    UPDATE webhook_deliveries o SET attempts = o.attempts + 1,
        next_ms = clock.ms + %(lease_ms)s
    FROM unclaimed CROSS JOIN clock WHERE o.seq = unclaimed.seq
    RETURNING o.*
)
SELECT {delivery_columns}, {webhook_columns} FROM begun d JOIN webhooks w ON w.id = d.webhook_id
ORDER BY d.seq;

-- name: finish_delivery
-- Records the attempt. What follows in the run is due with the next attempt of what is before it,
-- and at once when there is nothing before it any more.
-- Indexes: webhook_deliveries_pkey, webhook_deliveries_of_run.
WITH clock AS MATERIALIZED (SELECT {now} AS ms), recorded AS (
    INSERT INTO webhook_attempts (delivery_seq, number, at_ms, duration_ms, response_code, error, response)
    VALUES (%(seq)s, %(number)s, %(at_ms)s, %(duration_ms)s, %(response_code)s::bigint, %(error)s::text,
        %(response)s::text)
    ON CONFLICT (delivery_seq, number) DO NOTHING
), finished AS (
    UPDATE webhook_deliveries d SET state = %(state)s, next_ms = clock.ms + %(delay_ms)s,
        ended_ms = CASE WHEN %(state)s <> 'pending' THEN clock.ms END
    FROM clock
    WHERE d.seq = %(seq)s AND d.attempts = %(number)s AND (d.state || '') = 'pending'
    RETURNING d.run_seq, d.next_ms
), deferred AS (
    UPDATE webhook_deliveries d SET next_ms = f.next_ms FROM finished f
    WHERE d.state = 'pending' AND d.run_seq = f.run_seq AND d.receiver = %(receiver)s AND d.seq > %(seq)s
)
SELECT count(*) FROM finished;

-- name: delivery_by_id
SELECT {delivery_columns} FROM webhook_deliveries d WHERE d.id = %(id)s;

-- name: webhook_attempts
SELECT number, at_ms, duration_ms, response_code, error, response FROM webhook_attempts
WHERE delivery_seq = %(seq)s ORDER BY number;

-- name: replay_deliveries
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
UPDATE webhook_deliveries SET state = 'pending', since_ms = ms, next_ms = ms, ended_ms = NULL
FROM clock WHERE seq = ANY (%(seqs)s::bigint[]) AND state <> 'pending';

-- name: remove_expired_deliveries
-- Index: webhook_deliveries_at.
WITH gone AS (
    DELETE FROM webhook_deliveries WHERE seq IN (
        SELECT seq FROM webhook_deliveries WHERE at_ms < %(before_ms)s ORDER BY at_ms
        LIMIT %(limit)s)
    RETURNING seq
), attempts AS (
    DELETE FROM webhook_attempts WHERE delivery_seq IN (SELECT seq FROM gone)
)
SELECT count(*) FROM gone;

-- name: webhook_backlog
-- Index: webhook_deliveries_due.
WITH clock AS MATERIALIZED (SELECT {now} AS ms)
SELECT count(*), greatest(0, max(ms - d.next_ms))
FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id CROSS JOIN clock
WHERE d.state = 'pending' AND w.is_paused = 0;
