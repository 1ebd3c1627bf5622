-- Requests whose outcome is read later.

-- name: add_async_request
INSERT INTO async_requests (id, tenant_id, entity_id, client_id, operation, run_id, state,
    created_ms)
VALUES (%(id)s, %(tenant_id)s, %(entity_id)s, %(client_id)s, %(operation)s, %(run_id)s,
    'in_progress', {now})
RETURNING created_ms;

-- name: finish_async_request
-- The first outcome stays. Index: the primary key.
UPDATE async_requests
SET state = %(state)s, response = %(response)s::bytea, completed_ms = {now}
WHERE id = %(id)s AND state = 'in_progress';

-- name: async_request_by_id
-- Index: the primary key.
SELECT id, tenant_id, entity_id, client_id, operation, run_id, state, created_ms, completed_ms,
    response
FROM async_requests WHERE id = %(id)s;

-- name: remove_expired_async_requests
-- Index: async_requests_created.
DELETE FROM async_requests WHERE created_ms < %(before_ms)s;
