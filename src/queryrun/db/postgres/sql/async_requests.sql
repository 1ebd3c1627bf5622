-- Requests whose outcome is read later.

-- name: add_async_request
INSERT INTO async_requests (id, tenant_id, entity_id, client_id, operation, run_id, track_id,
    state, created_ms)
VALUES (%(id)s, %(tenant_id)s, %(entity_id)s, %(client_id)s, %(operation)s, %(run_id)s,
    %(track_id)s, 'in_progress', {now})
RETURNING created_ms;

-- name: finish_async_request
-- The first outcome stays. Index: the primary key.
UPDATE async_requests
SET state = %(state)s, response = %(response)s::bytea, completed_ms = {now}
WHERE id = %(id)s AND state = 'in_progress';

-- fragment: select_async_requests
SELECT q.id, q.tenant_id, q.entity_id, q.client_id, q.operation, q.run_id, q.track_id, q.state,
    q.created_ms, q.completed_ms, q.response
FROM async_requests q

-- name: async_request_by_id
-- Index: the primary key.
{select_async_requests} WHERE q.id = %(id)s;

-- name: finishable_async_requests
-- Indexes: async_requests_in_progress, the unique one on runs (id).
{select_async_requests} JOIN runs r ON r.id = q.run_id
WHERE q.state = 'in_progress' AND r.state IN ('complete', 'failed', 'canceled')
ORDER BY q.created_ms LIMIT %(limit)s;

-- name: remove_expired_async_requests
-- Index: async_requests_created.
DELETE FROM async_requests WHERE created_ms < %(before_ms)s;
