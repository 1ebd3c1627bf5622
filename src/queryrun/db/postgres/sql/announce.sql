-- Fragments that write the outbox of webhooks, in the statements that change states (webhooks.sql).

-- fragment: outbox
INSERT INTO webhook_deliveries (id, webhook_id, receiver, tenant_id, entity_id, client_id, event, at_ms,
    since_ms, next_ms, url, run_seq, run_id, source, run_state, run_attempt, code)

-- fragment: owner_is_live
-- Indexes: clients_id_key, revoked_logins_pkey.
NOT EXISTS (SELECT 1 FROM clients c WHERE c.id = w.client_id COLLATE "default"
        AND (c.revoked_ms IS NOT NULL OR c.expires_ms <= {now}))
    AND NOT EXISTS (SELECT 1 FROM revoked_logins l
        WHERE l.tenant_id = w.tenant_id COLLATE "default"
            AND l.client_id = w.client_id COLLATE "default" AND l.allowed_ms IS NULL)

-- fragment: is_told
(w.kind = 'webhook' OR (w.kind = 'run' AND run.notify_url IS NOT NULL))
        AND (w.of_entity = 1 OR w.client_id = run.client_id)
        AND {owner_is_live}

-- fragment: message_id
'msg_' || replace(gen_random_uuid()::text, '-', '')

-- fragment: receiver
CASE w.kind WHEN 'run' THEN w.id || ' '
            || left(run.notify_url, 7 + position('/' in substr(run.notify_url, 9)))
        ELSE w.id END

-- fragment: announce
-- What webhooks are told of a change. The receiver of a notify_url is its origin. A run whose earlier
-- event waits for a retry that is more than a minute away waits with it: nobody need look at it
-- before. Times of events may be ahead of the clock by milliseconds, so what is due at once has been
-- due for a second. Indexes: run_requests_pkey, webhooks_of_entity, webhook_deliveries_of_run.
announced AS (
    {outbox}
    SELECT {message_id}, w.id, receivers.receiver, w.tenant_id, w.entity_id, run.client_id, told.event,
        run.updated_ms, run.updated_ms,
        greatest(run.updated_ms - 1000, (SELECT max(b.next_ms) FROM webhook_deliveries b
            WHERE b.state = 'pending' AND b.run_seq = run.seq AND b.receiver = receivers.receiver
                AND b.next_ms > run.updated_ms + 60000)),
        CASE w.kind WHEN 'run' THEN run.notify_url END, run.seq, run.id, run.source, run.state,
        run.attempt, told.code
    FROM (SELECT m.*, q.notify_url FROM moved m JOIN run_requests q ON q.run_seq = m.seq) run
    JOIN webhooks w ON w.tenant_id = run.tenant_id AND w.entity_id = run.entity_id
    CROSS JOIN LATERAL (SELECT {receiver} AS receiver) receivers
    CROSS JOIN LATERAL (VALUES
        (1, CASE WHEN run.state = 'failed' AND (run.cancel_reason = 'limit'
            OR run.failure_code IN ({limit_codes})) THEN 'limit.reached' END, run.failure_code),
        (2, CASE run.state WHEN 'accepted' THEN 'run.requeued' ELSE 'run.' || run.state END,
            CASE run.state WHEN 'failed' THEN run.failure_code
                WHEN 'canceled' THEN run.cancel_reason END)
    ) told (place, event, code)
    WHERE {is_told} AND position(' ' || told.event || ' ' in w.events) > 0
    ORDER BY w.seq, told.place
)

-- fragment: announce_new
-- The same of a new run, whose rows this statement does not see.
announced AS (
    {outbox}
    SELECT {message_id}, w.id, {receiver}, w.tenant_id, w.entity_id, run.client_id, 'run.accepted',
        run.created_ms, run.created_ms, run.created_ms - 1000,
        CASE w.kind WHEN 'run' THEN run.notify_url END, run.seq, %(id)s::text, %(source)s::text,
        'accepted', 0, NULL
    FROM (SELECT seq, created_ms, %(client_id)s::text AS client_id,
            %(notify_url)s::text AS notify_url FROM added) run
    JOIN webhooks w ON w.tenant_id = %(tenant_id)s::text AND w.entity_id = %(entity_id)s::text
    WHERE {is_told} AND position(' run.accepted ' in w.events) > 0
    ORDER BY w.seq
)
