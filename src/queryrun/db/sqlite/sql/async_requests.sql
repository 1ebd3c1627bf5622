-- Requests whose outcome is read later.

-- name: add_async_request
INSERT INTO async_requests (id, tenant_id, entity_id, client_id, operation, run_id, state,
    created_ms)
VALUES (:id, :tenant_id, :entity_id, :client_id, :operation, :run_id, 'in_progress', :created_ms);

-- name: finish_async_request
-- The first outcome stays. Index: the primary key.
UPDATE async_requests SET state = :state, response = :response, completed_ms = :completed_ms
WHERE id = :id AND state = 'in_progress';

-- name: async_request_by_id
-- Index: the primary key.
SELECT id, tenant_id, entity_id, client_id, operation, run_id, state, created_ms, completed_ms,
    response
FROM async_requests WHERE id = :id;

-- name: remove_expired_async_requests
-- Reads the whole table, from time to time.
DELETE FROM async_requests WHERE created_ms < :before_ms;
