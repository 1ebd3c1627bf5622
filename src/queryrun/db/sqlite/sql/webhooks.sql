-- Webhooks, and the outbox of their deliveries.

-- name: has_webhooks
SELECT EXISTS (SELECT 1 FROM webhooks);

-- fragment: owner_is_live
NOT EXISTS (SELECT 1 FROM clients c WHERE c.id = w.client_id
        AND (c.revoked_ms IS NOT NULL OR c.expires_ms <= :at_ms))
    AND NOT EXISTS (SELECT 1 FROM revoked_logins l WHERE l.tenant_id = w.tenant_id
        AND l.client_id = w.client_id AND l.allowed_ms IS NULL)

-- name: announce
-- An event of a run, for each webhook that is told of it: in the unit of the event. The receiver of a
-- notify_url is its origin. A run whose earlier event waits for a retry that is more than a minute
-- away waits with it: nobody need look at it before. Times of events may be ahead of the clock by
-- milliseconds, so what is due at once has been due for a second.
-- Indexes: the primary keys of runs and run_requests, webhooks_of_entity, webhook_deliveries_of_run.
INSERT INTO webhook_deliveries (id, webhook_id, receiver, tenant_id, entity_id, client_id, event, at_ms,
    since_ms, next_ms, url, run_seq, run_id, source, run_state, run_attempt, code)
SELECT 'msg_' || lower(hex(randomblob(16))), told.id, told.receiver, told.tenant_id, told.entity_id,
    told.run_client_id, :event, :at_ms, :at_ms,
    max(:at_ms - 1000, coalesce((SELECT max(b.next_ms) FROM webhook_deliveries b
        WHERE b.state = 'pending' AND b.run_seq = told.run_seq AND b.receiver = told.receiver
            AND b.next_ms > :at_ms + 60000), 0)),
    told.notify_url, told.run_seq, told.run_id, told.source, told.state, told.attempt, :code
FROM (
    SELECT w.id, w.tenant_id, w.entity_id, r.client_id AS run_client_id, r.seq AS run_seq,
        r.id AS run_id, r.source, r.state, r.attempt,
        CASE w.kind WHEN 'run' THEN q.notify_url END AS notify_url,
        CASE w.kind WHEN 'run' THEN
            w.id || ' ' || substr(q.notify_url, 1, 7 + instr(substr(q.notify_url, 9), '/'))
        ELSE w.id END AS receiver
    FROM runs r JOIN run_requests q ON q.run_seq = r.seq
    CROSS JOIN webhooks w ON w.tenant_id = r.tenant_id AND w.entity_id = r.entity_id
    WHERE r.seq = :seq AND (w.of_entity = 1 OR w.client_id = r.client_id)
        AND (w.kind = 'webhook' OR (w.kind = 'run' AND q.notify_url IS NOT NULL))
        AND instr(w.events, ' ' || :event || ' ') > 0
        AND {owner_is_live}
    ORDER BY w.seq
) told;

-- name: announce_request
-- The outcome of an asynchronous request, once for each callout, whoever writes it.
-- Index: webhooks_of_entity.
INSERT OR IGNORE INTO webhook_deliveries (id, webhook_id, receiver, tenant_id, entity_id, client_id,
    event, at_ms, since_ms, next_ms, run_id, content)
SELECT 'msg_' || :request_id || '_' || w.seq, w.id, w.id, w.tenant_id, w.entity_id, :client_id,
    :event, :at_ms, :at_ms, :at_ms, :run_id, :content
FROM webhooks w
WHERE w.tenant_id = :tenant_id AND w.entity_id = :entity_id AND w.kind = 'callout'
    AND (w.of_entity = 1 OR w.client_id = :client_id)
    AND instr(w.events, ' ' || :event || ' ') > 0
    AND {owner_is_live}
ORDER BY w.seq;

-- name: announce_limit
-- A submit that a limit has refused, once for each webhook and key. Index: webhooks_of_entity.
INSERT OR IGNORE INTO webhook_deliveries (id, webhook_id, receiver, tenant_id, entity_id, client_id,
    event, at_ms, since_ms, next_ms, source, content)
SELECT 'msg_' || :key || '_' || w.seq, w.id, w.id, w.tenant_id, w.entity_id, :client_id,
    :event, :at_ms, :at_ms, :at_ms, :source, :content
FROM webhooks w
WHERE w.tenant_id = :tenant_id AND w.entity_id = :entity_id AND w.kind = 'webhook'
    AND (w.of_entity = 1 OR w.client_id = :client_id)
    AND instr(w.events, ' ' || :event || ' ') > 0
    AND {owner_is_live}
ORDER BY w.seq;

-- fragment: webhook_columns
w.id, w.kind, w.tenant_id, w.entity_id, w.client_id, w.url, w.events, w.description, w.of_entity,
    w.is_paused, w.secret, w.previous_secret, w.previous_until_ms, w.credentials, w.created_ms,
    w.updated_ms

-- name: add_webhook
INSERT OR IGNORE INTO webhooks (id, kind, tenant_id, entity_id, client_id, url, events, description,
    of_entity, is_paused, secret, credentials, created_ms, updated_ms)
SELECT :id, :kind, :tenant_id, :entity_id, :client_id, :url, :events, :description, :of_entity,
    :is_paused, :secret, :credentials, :created_ms, :created_ms
WHERE (SELECT count(*) FROM webhooks WHERE tenant_id = :tenant_id AND entity_id = :entity_id
    AND client_id = :client_id) < :max_per_client;

-- name: webhook_by_id
SELECT {webhook_columns} FROM webhooks w WHERE w.id = :id;

-- name: webhooks_of_entity
-- Index: webhooks_of_entity.
SELECT {webhook_columns} FROM webhooks w
WHERE w.tenant_id = :tenant_id AND w.entity_id = :entity_id ORDER BY w.seq;

-- name: change_webhook
UPDATE webhooks SET url = :url, events = :events, description = :description,
    is_paused = :is_paused, updated_ms = :updated_ms
WHERE id = :id AND url = :url_before AND events = :events_before
    AND description = :description_before AND is_paused = :is_paused_before;

-- name: change_webhook_secrets
UPDATE webhooks SET secret = :secret, previous_secret = :previous_secret,
    previous_until_ms = :previous_until_ms, credentials = :credentials
WHERE id = :id AND secret = :secret_before;

-- name: remove_webhook
DELETE FROM webhooks WHERE id = :id;

-- name: give_up_deliveries
-- What waits for a webhook that is removed. Index: webhook_deliveries_due.
UPDATE webhook_deliveries SET state = 'dead', ended_ms = :now_ms
WHERE state = 'pending' AND (receiver = :id OR (receiver > :id || ' ' AND receiver < :id || '!'));

-- name: due_receivers
-- The receivers that have something due and are not paused, the longest due first. It jumps through
-- webhook_deliveries_due from one receiver to the next.
WITH RECURSIVE receivers (receiver) AS (
    SELECT * FROM (SELECT receiver FROM webhook_deliveries WHERE state = 'pending'
        ORDER BY receiver, next_ms LIMIT 1)
    UNION ALL
    SELECT (SELECT d.receiver FROM webhook_deliveries d WHERE d.state = 'pending' AND d.receiver > receivers.receiver
        ORDER BY d.receiver, d.next_ms LIMIT 1) FROM receivers WHERE receivers.receiver IS NOT NULL
), first AS (
    SELECT receiver, (SELECT min(d.next_ms) FROM webhook_deliveries d
        WHERE d.state = 'pending' AND d.receiver = receivers.receiver) AS next_ms
    FROM receivers WHERE receiver IS NOT NULL
)
SELECT receiver FROM first JOIN webhooks w
    ON w.id = CASE instr(receiver, ' ') WHEN 0 THEN receiver ELSE substr(receiver, 1, instr(receiver, ' ') - 1) END
WHERE next_ms <= :now_ms AND w.is_paused = 0 ORDER BY next_ms;

-- fragment: delivery_columns
d.seq, d.receiver, d.since_ms, d.id, d.webhook_id, d.tenant_id, d.entity_id, d.client_id, d.event,
    d.at_ms, d.state, d.attempts, d.next_ms, d.url, d.run_id, d.source, d.run_state, d.run_attempt,
    d.code, d.content, d.ended_ms

-- name: due_of_receiver
-- What is due in a receiver, without what waits for an earlier event of its run.
-- Indexes: webhook_deliveries_due, webhook_deliveries_of_run.
SELECT d.seq FROM webhook_deliveries d
WHERE d.state = 'pending' AND d.receiver = :receiver AND d.next_ms <= :now_ms
    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries b
        WHERE b.state = 'pending' AND b.run_seq = d.run_seq AND b.receiver = d.receiver AND b.seq < d.seq)
ORDER BY d.next_ms, d.seq LIMIT :limit;

-- name: begin_delivery
UPDATE webhook_deliveries SET attempts = attempts + 1, next_ms = :lease_ms WHERE seq = :seq;

-- name: claimed_delivery
SELECT {delivery_columns}, {webhook_columns}
FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.seq = :seq;

-- name: add_webhook_attempt
INSERT OR REPLACE INTO webhook_attempts (delivery_seq, number, at_ms, duration_ms, response_code, error,
    response)
VALUES (:seq, :number, :at_ms, :duration_ms, :response_code, :error, :response);

-- name: finish_delivery
UPDATE webhook_deliveries SET state = :state, next_ms = :next_ms, ended_ms = :ended_ms
WHERE seq = :seq AND attempts = :number AND state = 'pending';

-- name: defer_later_deliveries
-- What follows in the run is due with the next attempt of what is before it, and at once when there
-- is nothing before it any more. Index: webhook_deliveries_of_run.
UPDATE webhook_deliveries SET next_ms = :next_ms
WHERE state = 'pending' AND receiver = :receiver AND seq > :seq
    AND run_seq = (SELECT run_seq FROM webhook_deliveries WHERE seq = :seq);

-- name: delivery_by_id
SELECT {delivery_columns} FROM webhook_deliveries d WHERE d.id = :id;

-- name: webhook_attempts
SELECT number, at_ms, duration_ms, response_code, error, response FROM webhook_attempts
WHERE delivery_seq = :seq ORDER BY number;

-- name: replay_delivery
UPDATE webhook_deliveries SET state = 'pending', since_ms = :now_ms, next_ms = :now_ms,
    ended_ms = NULL
WHERE seq = :seq AND state <> 'pending';

-- name: expired_deliveries
-- Index: webhook_deliveries_at.
SELECT seq FROM webhook_deliveries WHERE at_ms < :before_ms ORDER BY at_ms LIMIT :limit;

-- name: remove_webhook_attempts
DELETE FROM webhook_attempts WHERE delivery_seq = :seq;

-- name: remove_delivery
DELETE FROM webhook_deliveries WHERE seq = :seq;

-- name: webhook_backlog
-- Index: webhook_deliveries_due.
SELECT count(*), min(d.next_ms) FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
WHERE d.state = 'pending' AND w.is_paused = 0;
