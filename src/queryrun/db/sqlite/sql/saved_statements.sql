-- Saved statements.

-- name: add_statement
-- Nothing when the client has as many as it may. Index: saved_statements_of_client.
INSERT INTO saved_statements (id, tenant_id, entity_id, client_id, name, folder, sql, source,
    shared, created_ms, updated_ms)
SELECT :id, :tenant_id, :entity_id, :client_id, :name, :folder, :sql, :source, :shared,
    :created_ms, :updated_ms
WHERE (SELECT count(*) FROM saved_statements WHERE client_id = :client_id) < :max_per_client;

-- name: replace_statement
-- Index: the primary key.
UPDATE saved_statements
SET name = :name, folder = :folder, sql = :sql, source = :source, shared = :shared,
    updated_ms = :updated_ms
WHERE id = :id;

-- name: remove_statement
-- Index: the primary key.
DELETE FROM saved_statements WHERE id = :id;

-- name: statement_by_id
-- Index: the primary key.
SELECT id, tenant_id, entity_id, client_id, name, folder, sql, source, shared, created_ms,
    updated_ms
FROM saved_statements WHERE id = :id;

-- name: statements_of
-- Index: saved_statements_of_entity.
SELECT id, tenant_id, entity_id, client_id, name, folder, substr(sql, 1, :sql_chars), source,
    shared, created_ms, updated_ms
FROM saved_statements
WHERE tenant_id = :tenant_id AND entity_id = :entity_id AND (shared = 1 OR client_id = :client_id)
ORDER BY folder, name, id LIMIT :limit;
