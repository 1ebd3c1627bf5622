-- Saved statements.

-- name: add_statement
-- Nothing when the client has as many as it may. Index: saved_statements_of_client.
INSERT INTO saved_statements (id, tenant_id, entity_id, client_id, name, folder, sql, source,
    shared, created_ms, updated_ms)
SELECT %(id)s::text, %(tenant_id)s::text, %(entity_id)s::text, %(client_id)s::text, %(name)s::text, %(folder)s::text, %(sql)s::text, %(source)s::text, %(shared)s::bigint,
    %(created_ms)s::bigint, %(updated_ms)s::bigint
WHERE (SELECT count(*) FROM saved_statements WHERE client_id = %(client_id)s) < %(max_per_client)s;

-- name: replace_statement
-- Index: the primary key.
UPDATE saved_statements
SET name = %(name)s, folder = %(folder)s, sql = %(sql)s, source = %(source)s, shared = %(shared)s,
    updated_ms = %(updated_ms)s
WHERE id = %(id)s;

-- name: remove_statement
-- Index: the primary key.
DELETE FROM saved_statements WHERE id = %(id)s;

-- name: statement_by_id
-- Index: the primary key.
SELECT id, tenant_id, entity_id, client_id, name, folder, sql, source, shared, created_ms,
    updated_ms
FROM saved_statements WHERE id = %(id)s;

-- name: statements_of
-- Index: saved_statements_of_entity.
SELECT id, tenant_id, entity_id, client_id, name, folder, substr(sql, 1, %(sql_chars)s::int), source,
    shared, created_ms, updated_ms
FROM saved_statements
WHERE tenant_id = %(tenant_id)s AND entity_id = %(entity_id)s AND (shared = 1 OR client_id = %(client_id)s)
ORDER BY folder COLLATE "C", name COLLATE "C", id COLLATE "C" LIMIT %(limit)s;
