-- Requests whose outcome is read later.

-- name: add_async_request
INSERT INTO async_requests (id, tenant_id, entity_id, client_id, operation, run_id, track_id,
    state, created_ms)
VALUES (:id, :tenant_id, :entity_id, :client_id, :operation, :run_id, :track_id, 'in_progress', :created_ms);

-- name: finish_async_request
-- The first outcome stays. Index: the primary key.
UPDATE async_requests SET state = :state, response = :response, completed_ms = :completed_ms
WHERE id = :id AND state = 'in_progress';

-- fragment: select_async_requests
SELECT q.id, q.tenant_id, q.entity_id, q.client_id, q.operation, q.run_id, q.track_id, q.state,
    q.created_ms, q.completed_ms, q.response
FROM async_requests q

-- name: async_request_by_id
-- Index: the primary key.
{select_async_requests} WHERE q.id = :id;

-- name: finishable_async_requests
-- Indexes: async_requests_in_progress, the unique one on runs (id).
{select_async_requests} JOIN runs r ON r.id = q.run_id
WHERE q.state = 'in_progress' AND r.state IN ('complete', 'failed', 'canceled')
ORDER BY q.created_ms LIMIT :limit;

-- name: remove_expired_async_requests
-- Reads the whole table, from time to time.
DELETE FROM async_requests WHERE created_ms < :before_ms;
